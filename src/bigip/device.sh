# Runs on the device, in its shell. Orders come as lines `name value` on standard input, up to `go`; answers are
# lines `@kind BASE64`. What tmsh says is judged by its words: its exit code is 0 for errors too.
# shellcheck shell=sh disable=SC2034 # orders are read by their names
umask 077
LC_ALL=C
export LC_ALL

verb=look dir=/shared/certroll id='' holder='' partition=Common profile='' entry='' others='' object=''
oldcert='' oldkey='' oldchain=none newcert='' newkey='' newchain=none
lease=600 within=600 backups=3 group='' key='' cert='' chain='' program=''

take() { # take NAME VALUE: one order
    case $1 in
        verb) verb=$2 ;; dir) dir=$2 ;; id) id=$2 ;; holder) holder=$2 ;; partition) partition=$2 ;;
        profile) profile=$2 ;; entry) entry=$2 ;; others) others=$2 ;; object) object="$object $2" ;;
        oldcert) oldcert=$2 ;; oldkey) oldkey=$2 ;; oldchain) oldchain=$2 ;;
        newcert) newcert=$2 ;; newkey) newkey=$2 ;; newchain) newchain=$2 ;;
        lease) lease=$2 ;; within) within=$2 ;; backups) backups=$2 ;; group) group=$2 ;;
        key) key=$2 ;; cert) cert=$2 ;; chain) chain=$2 ;; program) program=$2 ;;
    esac
}

say() { # say KIND: what comes on standard input, on one line
    printf '@%s ' "$1"
    base64 | tr -d '\n'
    echo
}

fail() { # fail KIND WORDS: the last answer
    printf '%s\n' "$2" | say "$1"
    exit 0
}

ask() { # ask COMMAND: what tmsh says
    tmsh -c "$1" </dev/null 2>&1 | tr -d '\r' | head -c 100000
}

is_bad() { # is_bad WORDS: an error, in any of its forms
    printf '%s\n' "$1" |
        grep -Eq '^[0-9A-Fa-f]{8}:[0-9]+:|Syntax Error|Data Input Error|Unexpected Error|was not found|transaction failed'
}

order() { # order COMMAND: its words are in $words
    words=$(ask "$1")
    ! is_bad "$words"
}

seconds() { # since the start of the machine: no clock that anybody sets
    cut -d. -f1 /proc/uptime
}

points() { # where the entry points: certificate, key and chain
    ask "cd /$partition; list ltm profile client-ssl $profile cert-key-chain" | awk -v entry="$entry" -v folder="$partition" '
        function full(name) { return name == "none" || substr(name, 1, 1) == "/" ? name : "/" folder "/" name }
        BEGIN { cert = key = "?"; chain = "none" }
        { sub(/^[ \t]+/, ""); sub(/[ \t]+$/, "") }
        !inside && $0 == "cert-key-chain {" { inside = 1; next }
        inside == 1 && $0 == entry " {" { inside = 2; next }
        inside == 2 && $0 == "}" { inside = 3 }
        inside == 2 && $1 == "cert" { cert = full($2) }
        inside == 2 && $1 == "key" { key = full($2) }
        inside == 2 && $1 == "chain" { chain = full($2) }
        END { print cert, key, chain }'
}

point() { # point CERT KEY CHAIN: in one command, and read back
    order "modify ltm profile client-ssl $profile cert-key-chain modify { $entry { cert $1 key $2 chain $3 } }"
    [ "$(points)" = "$1 $2 $3" ]
}

stored() { # stored KIND NAME SUFFIX: under which name it is there, as older versions append the suffix
    for name in "$2" "$2$3"; do
        order "list sys file ssl-$1 $name" || continue
        case $words in
            *"sys file ssl-$1 "*) echo "$name"; return 0 ;;
        esac
    done
    return 1
}

wipe() { # wipe FILE: one that holds a key
    [ ! -e "$1" ] || shred -u "$1" 2>/dev/null || rm -f "$1"
}

forget() { # nothing is under way any more
    for file in "$now"/*.pem; do wipe "$file"; done
    rm -rf "$now"
}

load() { # the orders of the transaction that is under way
    [ -e "$now/orders" ] || return 1
    while IFS=' ' read -r name value; do take "$name" "$value"; done <"$now/orders"
}

is_alive() { # the job of the transaction runs, or is just being started
    if [ -e "$now/pid" ]; then
        pid=$(cat "$now/pid")
        tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF "$now/program"
    else
        [ -d "$now" ] && [ -z "$(find "$now" -maxdepth 0 -mmin +1)" ]
    fi
}

decide() { # decide WORD: whoever comes first
    mkdir "$now/verdict" 2>/dev/null && echo "$1" >"$now/verdict/word"
}

discard() { # what was made for the transaction; what is used stays, as the device refuses
    [ -e "$now/made" ] || return 0
    while read -r thing; do order "delete $thing"; done <"$now/made"
    return 0
}

undo() { # all as before, the reference first; $outcome is old, foreign or stuck
    outcome=old
    if [ -e "$now/switched" ]; then
        at=$(points)
        if [ "$at" = "$newcert $newkey $newchain" ]; then
            point "$oldcert" "$oldkey" "$oldchain" || outcome=stuck
        elif [ "$at" != "$oldcert $oldkey $oldchain" ]; then
            case $at in '?'*) outcome=stuck ;; *) outcome=foreign ;; esac
        fi
    fi
    [ "$outcome" = stuck ] || discard
}

back() { # back KIND WORDS: undoes, and tells that as the answer; what is stuck is left to the job
    said=$words
    undo
    if [ "$outcome" = stuck ]; then
        # Also where it was confirmed already, and could not be saved: the job has ended then.
        mkdir -p "$now/verdict"
        echo undone >"$now/verdict/word"
        : >"$now/stuck"
        is_alive || start_job
    else
        forget
    fi
    printf '%s\n%s\n%s\n' "$outcome" "$2" "$said" | say "$1"
    exit 0
}

tell_now() {
    if [ -d "$now" ]; then
        {
            cat "$now/orders" 2>/dev/null
            is_alive && echo "alive ${pid:-0}"
            [ -e "$now/switched" ] && echo switched yes
            [ -e "$now/verdict/word" ] && echo "verdict $(cat "$now/verdict/word")"
        } | say now
    fi
}

look() {
    id -un | say who
    ask 'show sys mcp-state field-fmt' | say mcp
    ask 'show cm failover-status' | say failover
    ask 'show cm sync-status' | say sync
    ask "cd /$partition; list ltm profile client-ssl $profile inherit-certkeychain cert-key-chain" | say profile
    tail -n 100 "$dir/history" 2>/dev/null | say history
    tell_now
}

objects() { # each certificate that is asked for: what tmsh says, and its file
    for name in $object; do
        words=$(ask "list sys file ssl-cert $name -hidden")
        printf '%s\n%s\n' "$name" "$words" | say object
        is_bad "$words" && continue
        path=$(printf '%s\n' "$words" | sed -n 's/^[[:space:]]*cache-path[[:space:]]*//p' | head -n 1)
        { echo "$name"; [ -z "$path" ] || head -c 12000 "$path" 2>/dev/null; } | say file
    done
}

install() { # install KIND NAME FILE SUFFIX: the name that it has got is in $made
    ! stored "$1" "$2" "$4" >/dev/null || { words="$2 is there already"; return 1; }
    echo "sys file ssl-$1 $2" >>"$now/made"
    echo "sys file ssl-$1 $2$4" >>"$now/made"
    order "install sys crypto $1 $2 from-local-file $3" || return 1
    said=$words
    if [ -e "$now/verdict" ] || [ "$(cat "$now/id" 2>/dev/null)" != "$id" ]; then
        # Discarded meanwhile, and this came too late for that.
        made=$(stored "$1" "$2" "$4") && order "delete sys file ssl-$1 $made"
        fail gone ''
    fi
    made=$(stored "$1" "$2" "$4") || { words="it is not there after: $said"; return 1; }
}

begin() {
    mkdir -p "$dir" 2>/dev/null
    chmod 700 "$dir" 2>/dev/null
    [ -w "$dir" ] || fail failed "$dir cannot be written"
    mkdir "$now" 2>/dev/null || { tell_now; fail busy ''; }
    echo "$id" >"$now/id"
    keep_orders
    echo $(($(seconds) + lease)) >"$now/until"
    printf '%s' "$program" | base64 -d >"$now/program"
    printf 'verb job\ndir %s\ngo\n' "$dir" >"$now/job"
    start_job
    tries=0
    until [ -e "$now/pid" ]; do
        tries=$((tries + 1))
        [ "$tries" -le 300 ] || { forget; fail failed 'the job that would undo does not start'; }
        sleep 0.1
    done
    if [ -n "$cert" ]; then
        for part in key cert chain; do
            eval "body=\$$part name=\$new$part"
            [ -n "$body" ] || continue
            printf '%s' "$body" | base64 -d >"$now/$part.pem"
            kind=cert suffix=.crt
            [ "$part" != key ] || kind=key suffix=.key
            install "$kind" "$name" "$now/$part.pem" "$suffix" || back failed "install sys crypto $kind $name"
            eval "new$part=\$made"
            wipe "$now/$part.pem"
        done
        keep_orders
    fi
    [ "$(points)" = "$oldcert $oldkey $oldchain" ] || back stale "the entry points to $(points)"
    if [ "$others" != skip ]; then
        trial=${profile}_$id
        echo "ltm profile client-ssl $trial" >>"$now/made"
        order "create ltm profile client-ssl $trial defaults-from $profile cert-key-chain replace-all-with { $others $entry { cert $newcert key $newkey chain $newchain } }" ||
            back failed 'a profile with the new objects, for trial'
        order "delete ltm profile client-ssl $trial" || back failed "delete $trial"
    fi
    printf '%s %s %s\n' "$newcert" "$newkey" "$newchain" | say well
}

keep_orders() {
    for name in id holder partition profile entry oldcert oldkey oldchain newcert newkey newchain within backups group; do
        eval "printf '%s %s\n' $name \"\$$name\""
    done >"$now/orders.new"
    mv "$now/orders.new" "$now/orders"
}

ours() { # the transaction that is under way is the one that is meant
    [ "$(cat "$now/id" 2>/dev/null)" = "$id" ] || fail gone "$(tail -n 1 "$dir/history" 2>/dev/null)"
    load
}

start_job() {
    setsid sh "$now/program" <"$now/job" >/dev/null 2>&1 &
}

job() {
    load || exit 0
    echo $$ >"$now/pid.new"
    mv "$now/pid.new" "$now/pid"
    while [ "$(seconds)" -lt "$(cat "$now/until" 2>/dev/null || echo 0)" ] && [ ! -e "$now/stuck" ]; do
        sleep 1
        [ "$(cat "$now/id" 2>/dev/null)" = "$id" ] || exit 0
        [ "$(cat "$now/verdict/word" 2>/dev/null)" != confirmed ] || exit 0
    done
    decide undone || [ "$(cat "$now/verdict/word" 2>/dev/null)" = undone ] || exit 0
    tries=0
    until undo && [ "$outcome" != stuck ]; do
        tries=$((tries + 1))
        [ "$tries" -le 360 ] || exit 0
        sleep 10
    done
    forget
}

commit() {
    ours
    at=$(points)
    if [ ! -e "$now/switched" ] || [ "$at" != "$newcert $newkey $newchain" ]; then
        if [ "$at" != "$oldcert $oldkey $oldchain" ]; then
            decide undone || fail gone ''
            back stale "the entry points to $at"
        fi
        echo $(($(seconds) + within)) >"$now/until"
        [ ! -e "$now/verdict" ] || fail gone ''
        : >"$now/switched"
        if ! point "$newcert" "$newkey" "$newchain"; then
            decide undone || fail gone ''
            back failed "modify ltm profile client-ssl $profile"
        fi
    fi
    printf '%s\n' "$words" | say well
}

prune() { # of what this profile's entry pointed to: all but the last, and only what has a date of ours in its name
    [ -e "$dir/history" ] || return 0
    mine=" $partition $profile $entry "
    grep -F "$mine" "$dir/history" | head -n "-$backups" | while read -r moment _ _ _ c k h; do
        for object in "cert $c" "key $k" "cert $h"; do
            printf '%s\n' "$object" | grep -Eq '_[0-9]{14}(_chain)?(\.crt|\.key)*$' || continue
            order "delete sys file ssl-$object"
        done
        grep -vF "$moment$mine" "$dir/history" >"$dir/history.new"
        mv "$dir/history.new" "$dir/history"
    done
}

confirm() {
    ours
    decide confirmed || [ "$(cat "$now/verdict/word" 2>/dev/null)" = confirmed ] || fail gone "$(cat "$now/verdict/word")"
    if [ "$(points)" != "$newcert $newkey $newchain" ]; then
        at=$(points)
        forget
        fail foreign "$at"
    fi
    order 'save sys config' || back failed 'save sys config'
    grep -q "^$id " "$dir/history" 2>/dev/null ||
        echo "$id $partition $profile $entry $oldcert $oldkey $oldchain" >>"$dir/history"
    prune
    order 'save sys config' || printf '%s\n' "$words" | say warn
    if [ -n "$group" ]; then
        order "run cm config-sync to-group $group" || printf 'config-sync: %s\n' "$words" | say warn
    fi
    forget
    printf '%s\n' "$words" | say well
}

recover() { # what a run left that is gone
    [ -d "$now" ] || fail nothing ''
    if is_alive; then tell_now; fail busy ''; fi
    load || { forget; fail nothing ''; }
    [ "$(cat "$now/verdict/word" 2>/dev/null)" != confirmed ] || confirm
    decide undone
    back undone "$profile"
}

while IFS=' ' read -r name value; do
    [ "$name" != go ] || break
    take "$name" "$value"
done
now=$dir/now
case $verb in
    look) look ;; objects) objects ;; begin) begin ;; commit) commit ;; confirm) confirm ;; job) job ;;
    recover) recover ;;
    extend) ours; echo $(($(seconds) + lease)) >"$now/until"; echo | say well ;;
    undo)
        ours
        decide undone || [ "$(cat "$now/verdict/word" 2>/dev/null)" = undone ] || fail gone confirmed
        back undone ''
        ;;
esac
