# What openssl and ssh-keygen tell of files that are no certificates in PEM. Sent where it is asked for.

# The certificate in files that are no PEM, which openssl tells: here and in their generations.
open_enclosed() {
  have openssl && have awk || return 0
  for i in $enclosed; do
    get st $i
    [ $v = file ] || continue
    get real $i; enclosed_leaf "$v"
    [ -z "$v" ] || put pem $i "$v"
  done
  g=0
  while [ $g -lt $n_generations ]; do
    get gi $g; i=$v
    case " $enclosed " in *" $i "*)
      get gp $g; enclosed_leaf "$v"
      [ -z "$v" ] || put gpem $g "$v";;
    esac
    g=$((g+1))
  done
}
# Of a file in the form of file $i -> v, as read_pems tells it. A keystore with several keys has no certificate of its own.
enclosed_leaf() {
  enclosed_file=$1
  get form $i
  if [ "$v" = der ]; then
    v=$(openssl x509 -inform DER -in "$enclosed_file" 2>/dev/null | awk "$pem_awk")
    return
  fi
  get word_of $i; dec "$v"; enclosed_word=$v
  # OpenSSL 3 opens what is sealed as it was done of old only when told to.
  for enclosed_legacy in '' -legacy; do
    v=$(secret_line "$enclosed_word" | openssl pkcs12 -in "$enclosed_file" -nokeys -clcerts -passin stdin $enclosed_legacy 2>/dev/null | awk "$pem_awk")
    case $v in ''|'0 -'|*,*) v=;; *) v="1 ${v#* }"; return;; esac
  done
}

# The public half of a key that stays here. Neither program shows more; both read the key by themselves.
public_key() {
  v=
  if have openssl; then v=$(openssl pkey -pubout -passin pass: -in "$1" 2>/dev/null); fi
  if [ -z "$v" ] && have ssh-keygen; then
    # ksh93 makes sockets of pipes, and /dev/stdin cannot be opened then: hence the other shell.
    v=$(/bin/sh -c 'cat <"$1" | ssh-keygen -y -P "" -f /dev/stdin | ssh-keygen -e -m PKCS8 -f /dev/stdin' sh "$1" 2>/dev/null)
  fi
  case $v in
  *PRIVATE*) v=;;
  '-----BEGIN PUBLIC KEY-----'*)
    IFS=$nl; set -- $v; IFS=$ifs
    v= ; for public_line; do case $public_line in -*) ;; *) v=$v$public_line;; esac; done;;
  *) v=;;
  esac
}
