admins = {}
modules_enabled = { "tls", "saslauth" }
modules_disabled = { "s2s" }
c2s_require_encryption = true
authentication = "internal_hashed"
pidfile = "/run/prosody/prosody.pid"
log = { info = "/var/log/prosody/prosody.log" }
daemonize = false
VirtualHost "www.fleet.test"
  ssl = { certificate = "/etc/prosody/tls/cert.pem", key = "/etc/prosody/tls/key.pem" }
