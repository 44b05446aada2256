# `service` and `systemd`: whether a service runs, and whether it begins with the host.
m_enabled= m_masked= m_daemon_reload=0 m_runlevel=default m_pause=0
module() {
  if [ -d /run/systemd/system ] && have systemctl; then service_by=systemd
  elif have rc-service && { [ -d /run/openrc ] || [ -d /lib/rc ]; }; then service_by=openrc
  elif [ "$m_use" = systemd ]; then refuse "systemd does not run on this host"
  else service_by=sysv; fi
  service_was=- service_enabled=-
  if [ "$m_daemon_reload" = 1 ] && [ $check = 0 ]; then
    [ $service_by != systemd ] || service_do systemctl daemon-reload
  fi
  if [ -n "$m_name" ]; then
    service_${service_by}_look
    if [ -n "$m_masked" ]; then service_mask; fi
    if [ -n "$m_enabled" ] && [ "$service_enabled" != "$m_enabled" ]; then
      change enabled "$service_enabled" "$m_enabled"
      [ $check = 1 ] || service_${service_by}_enable
    fi
    [ -z "$m_state" ] || service_state
    if [ $service_by = systemd ] && [ $check = 0 ]; then
      run 30 systemctl show -- "$m_name"
      m_limit=262144; parts "$work.out"
    fi
  fi
  say done changed=$changed by=$service_by was=$service_was changes=$changes
  exit 0
}
m_use=

# What tells it: an exit code other than 0 is a failure.
service_do() {
  run 300 "$@"
  [ $rc = 0 ] || { cp -- "$work.out" "$work.err"; refuse "\`$*\` exited with code $rc"; }
}

service_missing() {
  [ $check = 1 ] || refuse "Could not find the requested service $m_name: host"
  service_was=absent service_enabled=0
}

# What is to be done so that the state is as wished; a service that does not run is started to be restarted.
service_state() {
  service_verb=
  case $m_state:$service_was in
  started:running|stopped:stopped) ;;
  started:*) service_verb=start; change state "$service_was" started;;
  stopped:*) service_verb=stop; change state "$service_was" stopped;;
  restarted:running) service_verb=restart; changed=1;;
  reloaded:running) service_verb=reload; changed=1;;
  *) service_verb=start; change state "$service_was" started;;
  esac
  [ -n "$service_verb" ] && [ $check = 0 ] || return 0
  if [ $service_verb = restart ] && [ "$m_pause" != 0 ]; then
    service_${service_by}_tell stop; sleep "$m_pause"; service_verb=start
  fi
  service_${service_by}_tell $service_verb
}

service_systemd_look() {
  run 30 systemctl show -p LoadState -p ActiveState -p UnitFileState -- "$m_name"
  service_load= service_active= service_file=
  while IFS= read -r line; do
    case $line in
    LoadState=*) service_load=${line#*=};;
    ActiveState=*) service_active=${line#*=};;
    UnitFileState=*) service_file=${line#*=};;
    esac
  done <"$work.out"
  case $service_load in not-found|'') service_missing; return 0;; esac
  case $service_active in active|activating|reloading|refreshing) service_was=running;; deactivating) service_was=stopping;; *) service_was=stopped;; esac
  [ "$m_state:$service_was" != started:stopping ] || service_was=stopped
  # Static units and aliases count as enabled, as `is-enabled` says by its exit code.
  run 30 systemctl is-enabled -- "$m_name"
  if [ $rc = 0 ]; then service_enabled=1; else service_enabled=0; fi
}
service_systemd_enable() { if [ "$m_enabled" = 1 ]; then service_do systemctl enable -- "$m_name"; else service_do systemctl disable -- "$m_name"; fi; }
service_systemd_tell() { service_do systemctl "$1" -- "$m_name"; }
service_mask() {
  [ $service_by = systemd ] || refuse "only systemd masks services"
  service_masked=0; [ "$service_load" != masked ] || service_masked=1
  [ "$service_masked" != "$m_masked" ] || return 0
  change masked $service_masked "$m_masked"
  [ $check = 0 ] || return 0
  if [ "$m_masked" = 1 ]; then service_do systemctl mask -- "$m_name"; else service_do systemctl unmask -- "$m_name"; fi
}
service_load=

service_openrc_look() {
  [ -e "/etc/init.d/$m_name" ] || { service_missing; return 0; }
  run 60 rc-service "$m_name" status
  if [ $rc = 0 ]; then service_was=running; else service_was=stopped; fi
  service_enabled=0
  if [ -e "/etc/runlevels/$m_runlevel/$m_name" ]; then service_enabled=1; fi
}
service_openrc_enable() {
  if [ "$m_enabled" = 1 ]; then service_do rc-update add "$m_name" "$m_runlevel"; else service_do rc-update del "$m_name" "$m_runlevel"; fi
}
service_openrc_tell() { service_do rc-service "$m_name" "$1"; }

service_sysv_look() {
  [ -x "/etc/init.d/$m_name" ] || { service_missing; return 0; }
  run 60 "/etc/init.d/$m_name" status
  if [ $rc = 0 ]; then service_was=running; else service_was=stopped; fi
  service_enabled=0
  set +f; set -- /etc/rc[2345].d/S??"$m_name" /etc/rc.d/rc[2345].d/S??"$m_name"; set -f
  for service_link; do if [ -L "$service_link" ] || [ -e "$service_link" ]; then service_enabled=1; fi; done
}
service_sysv_enable() {
  if have update-rc.d; then
    if [ "$m_enabled" = 1 ]; then
      service_do update-rc.d "$m_name" defaults
      service_do update-rc.d "$m_name" enable
    else service_do update-rc.d "$m_name" disable; fi
  elif have chkconfig; then
    if [ "$m_enabled" = 1 ]; then service_do chkconfig "$m_name" on; else service_do chkconfig "$m_name" off; fi
  else refuse "this host has neither update-rc.d nor chkconfig"; fi
}
service_sysv_tell() { service_do "/etc/init.d/$m_name" "$1"; }
