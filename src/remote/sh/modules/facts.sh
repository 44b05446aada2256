# `setup`: what the host says of itself, as sections of lines. The controller makes facts of them.
module() {
  facts >"$work.facts" 2>/dev/null
  m_limit=1048576; parts "$work.facts"
  say done changed=0
  exit 0
}

facts_section() { echo "== $1"; awk '{ print " " $0 }'; }
facts_file() { if [ -f "$2" ] && [ -r "$2" ]; then facts_section "$1" <"$2"; fi; }

facts() {
  { uname -s; uname -n; uname -r; uname -v; uname -m; getconf LONG_BIT || echo; } | facts_section uname
  facts_name | facts_section fqdn
  facts_file "file /etc/os-release" /etc/os-release
  facts_file "file /usr/lib/os-release" /usr/lib/os-release
  for v in oracle centos redhat system alpine arch openwrt; do facts_file "file /etc/$v-release" "/etc/$v-release"; done
  facts_file "file /etc/openwrt_release" /etc/openwrt_release
  facts_file "file /etc/debian_version" /etc/debian_version
  facts_file "file /var/lib/dbus/machine-id" /var/lib/dbus/machine-id
  facts_file "file /etc/machine-id" /etc/machine-id
  facts_file "file /proc/1/comm" /proc/1/comm
  facts_file "file /proc/uptime" /proc/uptime
  facts_file "file /proc/sys/crypto/fips_enabled" /proc/sys/crypto/fips_enabled
  facts_file "file /etc/selinux/config" /etc/selinux/config
  facts_file "file /sys/fs/selinux/enforce" /sys/fs/selinux/enforce
  facts_there | facts_section there
  { readlink /sbin/init || echo; readlink -f /usr/bin/dnf || echo; readlink -f /usr/bin/microdnf || echo; } | facts_section links
  { id -un; id -u; id -ru; id -g; id -rg; facts_account; } | facts_section user
  for v in HOME PATH USER LOGNAME SHELL PWD LANG SUDO_USER SUDO_UID SUDO_GID; do eval "echo \"\$v=\${$v-}\""; done | facts_section env
  date '+%Y %m %A %w %W %d %H %M %S %s %Z %z %N' | facts_section date
  awk '/^(MemTotal|MemFree|SwapTotal|SwapFree):/ { print $1, $2 }' /proc/meminfo | facts_section memory
  awk '/^(processor|vendor_id|model name|physical id|cpu cores|siblings|core id)[ \t]*:/' /proc/cpuinfo | facts_section processors
  { nproc || echo; } | facts_section nproc
  if have ip; then facts_network; fi
}

# The name by which its own address is known, as far as one is.
facts_name() {
  facts_node=$(uname -n)
  have getent || { v=$(hostname -f 2>/dev/null) || v=; echo "$facts_node $v"; return 0; }
  v=$(getent ahosts "$facts_node")
  v=${v%%[ "$nl"]*}
  [ -z "$v" ] || v=$(getent hosts "$v")
  case $v in *' '*) echo "$facts_node ${v#* }";; *) echo "$facts_node";; esac
}

facts_account() {
  if have getent; then getent passwd "$(id -u)"
  else FACTS_UID=$(id -u) awk -F: '$3 == ENVIRON["FACTS_UID"] { print; exit }' /etc/passwd; fi
}

# What stands where only some systems have something.
facts_there() {
  for v in /run/systemd/system /dev/.run/systemd /dev/.systemd /etc/init /sbin/openrc /etc/init.d /etc/dinit.d /run/ostree-booted \
    /sys/kernel/security/apparmor /usr/bin/rpm-ostree /usr/bin/yum /usr/bin/dnf-3 /usr/bin/dnf5 /usr/bin/dnf /usr/bin/microdnf \
    /usr/bin/apt-get /usr/bin/zypper /usr/sbin/urpmi /usr/bin/pacman /bin/opkg /usr/pkg/bin/pkgin /sbin/apk /usr/sbin/pkg \
    /usr/bin/emerge /usr/bin/pkg /usr/bin/xbps-install /usr/local/sbin/pkg /usr/bin/swupd; do
    [ ! -e "$v" ] || echo "$v"
  done
  if have systemctl; then echo systemctl; fi
  if have initctl; then echo initctl; fi
  if [ -f /usr/bin/rpm ] && /usr/bin/rpm -q --whatprovides /usr/bin/apt-get >/dev/null 2>&1; then echo apt_rpm; fi
}

facts_network() {
  ip -4 route get 8.8.8.8 | facts_section route4
  ip -6 route get 2404:6800:400a:800::1012 | facts_section route6
  set +f; set -- /sys/class/net/*; set -f
  for facts_path; do
    [ -d "$facts_path" ] || continue
    facts_device=${facts_path##*/}
    echo "== device $facts_device"
    for v in address mtu operstate type; do
      facts_value=$(head -n 1 "$facts_path/$v") || facts_value=
      echo " $v $facts_value"
    done
    for v in bridge bonding; do [ ! -d "$facts_path/$v" ] || echo " kind $v"; done
    ip addr show dev "$facts_device" | awk '$1 == "inet" || $1 == "inet6" { $1 = $1; print " " $0 }'
  done
}
