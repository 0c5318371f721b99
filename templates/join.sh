#!/bin/sh
# Joins this host to Muster: enrols it, and runs its collector under the Supervisor, beginning with what runs already.
# Handed out by a server, which put its address and its certificate authority into it. Runs as root; see --help.
set -eu
umask 077

server='@SERVER@'
supervisor='' collector='' adopt='' adopting=yes base='' ca_given='' host='' user='' prefix='' mode=''
wait_seconds=120 apply_seconds=15
force='' dry='' resume='' service=systemd asked_service=''
old_service='' old_pid='' swapped='' work='' taken_over='' going_on='' stopped='' unrotated='' before='' hushed='' named='' made_user=''

usage() {
    cat <<'END'
Usage: sh join.sh [OPTIONS]

The enrolment token is read from MUSTER_TOKEN, else from standard input, else asked for.

  --collector FILE     the collector; with the opamp extension and the nop receiver and exporter [found]
  --supervisor FILE    the Supervisor (opampsupervisor) [found]
  --adopt FILE         the configuration that this host runs now: it becomes the first one that it gets [found]
  --no-adopt           adopt nothing: this host collects nothing until a configuration is published to it
  --name NAME          what the host is called [its host name]
  --user USER          the user that the collector runs as [that of the agent before, or of the collector that is
                       replaced, or muster-agent]
  --base FILE          settings that this collector has beneath every configuration that it gets [those of before]
  --apply-timeout S    seconds that a new configuration has to stay healthy to count as applied [15]
  --wait S             seconds to wait for the agent to be seen and healthy [120]
  --force              enrol again, as a new agent, although this host is enrolled already; it runs on with what it has
  --resume             start what was enrolled before, and wait for it again
  --rotate             exchange the credential in this host's files for a new one; the old one dies when that is used
  --no-service         run in the background without systemd
  --prefix FOLDER      keep all files beneath this folder, as whoever runs this; without systemd
  --with-service       with --prefix: use systemctl all the same
  --server URL         another address of the server, as in https://muster.example.com:4320
  --ca FILE            another authority to trust, as a PEM file
  --dry-run            say what would be done
  --uninstall          stop, remove everything, and start again what was replaced
END
}

say() { printf '%s\n' "$*"; }
warn() { printf 'join: %s\n' "$*" >&2; }
die() {
    warn "$@"
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
would() { [ -n "$dry" ] && say "would $*"; }

parse() {
    while [ $# -gt 0 ]; do
        case $1 in
        --help | -h) usage && exit 0 ;;
        --no-adopt) adopting='' ;;
        --no-service) service='' ;;
        --with-service) asked_service=yes ;;
        --force) force=yes ;;
        --resume) resume=yes ;;
        --dry-run) dry=yes ;;
        --uninstall) mode=uninstall ;;
        --rotate) mode=rotate ;;
        --collector | --supervisor | --adopt | --name | --user | --base | --apply-timeout | --wait | --prefix | --server | --ca)
            [ $# -ge 2 ] || die "$1 needs a value"
            case $1 in
            --collector) collector=$2 ;;
            --supervisor) supervisor=$2 ;;
            --adopt) adopt=$2 ;;
            --name) host=$2 named=yes ;;
            --user) user=$2 ;;
            --base) base=$2 ;;
            --apply-timeout) apply_seconds=$2 ;;
            --wait) wait_seconds=$2 ;;
            --prefix) prefix=$(plain "$2") service='' ;;
            --server) server=${2%/} ;;
            --ca) ca_given=$2 ;;
            esac
            shift
            ;;
        *) die "$1 is not an option; see --help" ;;
        esac
        shift
    done
    case $wait_seconds$apply_seconds in *[!0-9]*) die "--wait and --apply-timeout take whole seconds" ;; esac
    case $server in https://*) ;; *) die "$server doesn't begin with https://; agents are never served without TLS" ;; esac
    [ -z "$adopt" ] || [ -n "$adopting" ] || die "--adopt and --no-adopt contradict each other"
    [ -n "$host" ] || host=$(hostname 2>/dev/null || uname -n)
    host=$(printf %s "$host" | tr -cd 'A-Za-z0-9._-')

    etc=$prefix/etc/muster-agent state=$prefix/var/lib/muster-agent
    unit=$prefix/etc/systemd/system/muster-agent.service
    log=$prefix/var/log/muster-agent.log pidfile=$prefix/run/muster-agent.pid
    if [ -n "$asked_service" ]; then
        service=yes
    elif [ -n "$service" ] && ! { have systemctl && [ -d /run/systemd/system ]; }; then
        die "systemd doesn't run here; --no-service runs the agent in the background without it"
    fi
    [ -n "$prefix$dry" ] || [ "$(id -u)" = 0 ] || die "this has to run as root (or with --prefix, for a trial)"
}

# Paths go into files of other programs; none of ours needs a space or a quote.
plain() {
    case $1 in
    *[!A-Za-z0-9._/+@:,=~-]*) die "the path $1 has characters that can't be passed on; move the file" ;;
    /*) printf %s "$1" ;;
    *) printf %s "$(pwd)/$1" ;;
    esac
}

# find_program WHAT GIVEN PLACE...: the given program, or the first of the places that is one.
find_program() {
    what=$1 given=$2
    shift 2
    if [ -n "$given" ]; then
        [ -x "$given" ] || die "$given is not a program; --$what has to name the $what"
        plain "$given"
        return
    fi
    for place in "$@"; do
        found=$(command -v "$place" 2>/dev/null) || continue
        plain "$found"
        return
    done
    die "no $what found; install it, or name it with --$what FILE"
}

check_programs() {
    # An agent that is enrolled again goes on with the programs that it has.
    if [ -n "$force" ] && [ -z "$supervisor" ] && [ -s "$etc/program" ]; then supervisor=$(cat "$etc/program"); fi
    if [ -n "$force" ] && [ -z "$collector$old_pid" ] && [ -s "$etc/supervisor.yaml" ]; then
        collector=$(sed -n 's/^ *executable: *"\{0,1\}\([^"]*\)"\{0,1\} *$/\1/p' "$etc/supervisor.yaml")
    fi
    supervisor=$(find_program supervisor "$supervisor" opampsupervisor /opt/muster-agent/opampsupervisor \
        /opt/opampsupervisor/opampsupervisor)
    if [ -z "$collector" ] && [ -n "$old_pid" ]; then
        collector=$(readlink "/proc/$old_pid/exe" || true)
    fi
    collector=$(find_program collector "$collector" otelcol-contrib otelcol /opt/muster-agent/otelcol-contrib \
        /opt/otelcol/otelcol-contrib)
    components=$("$collector" components 2>/dev/null) ||
        die "$collector doesn't list its components; is it an OpenTelemetry Collector for this machine?"
    for need in extensions/opamp receivers/nop exporters/nop; do
        printf '%s\n' "$components" | awk -v section="${need%/*}:" -v name="${need#*/}" '
            /^[a-z]/ { inside = ($1 == section) }
            inside && $1 == "-" && ($2 == "name:" && $3 == name || $2 == name) { found = 1 }
            END { exit !found }' ||
            die "$collector lacks ${need%/*} \"${need#*/}\", which the Supervisor needs; the contrib collector has it"
    done
    understand_each_other || die "this Supervisor is newer than $collector, which can't read what it adds; take both from one release"
    say "collector   $collector"
    say "supervisor  $supervisor"
}

# Newer Supervisors name their collector's resource in a list, over which older collectors refuse to start.
understand_each_other() {
    LC_ALL=C grep -aqF 'name: service.instance.id' "$supervisor" || return 0
    printf 'service: { telemetry: { resource: { attributes: [{ name: a, value: b }] } } }\n' >"$work/newer.yaml"
    ! "$collector" validate --config "$work/newer.yaml" 2>&1 | grep -qF 'telemetry.resource'
}

show() { systemctl show "$old_service" --property "$1" --value 2>/dev/null || true; }

# Finds the collector that runs as a service, and the one file that configures it.
find_running() {
    [ -n "$service" ] || return 0
    if systemctl is-active --quiet opampsupervisor.service; then
        die "opampsupervisor.service runs here already; stop it, or point its own file at this server"
    fi
    for name in otelcol-contrib otelcol otel-collector opentelemetry-collector otelcol-custom; do
        if systemctl is-active --quiet "$name.service"; then
            old_service=$name.service
            old_pid=$(show MainPID)
            break
        fi
    done
    if [ -z "$old_service" ]; then
        if running; then return 0; fi
        for process in /proc/[0-9]*; do
            case $(readlink "$process/exe" 2>/dev/null || true) in
            */otelcol*) warn "process ${process#/proc/} runs a collector that is no service known here; it is left alone" ;;
            esac
        done
        return 0
    fi
    say "running     $old_service"
    [ -n "$adopting" ] && [ -z "$adopt" ] || return 0
    files='' others='' next=''
    tr '\0\n\t ' '\n???' <"/proc/$old_pid/cmdline" | tail -n +2 >"$work/words"
    while IFS= read -r word; do
        if [ -n "$next" ]; then
            files="$files $word" next=''
            continue
        fi
        case $word in
        --config | -config) next=yes ;;
        --config=* | -config=*) files="$files ${word#*=}" ;;
        *) others="$others $word" ;;
        esac
    done <"$work/words"
    [ -z "$others" ] || die "$old_service is started with$others, which would be lost; put it into a file for --adopt"
    case $files in
    ' '*' '*) die "$old_service reads several files ($files ); merge them into one for --adopt" ;;
    ' '*) adopt=${files# } adopt=${adopt#file:} ;;
    *) die "the configuration of $old_service isn't to be found; name it with --adopt FILE, or say --no-adopt" ;;
    esac
    case $adopt in
    /*) ;;
    *) adopt=$(readlink "/proc/$old_pid/cwd")/$adopt ;;
    esac
}

check_adoption() {
    if [ -n "$adopt" ]; then
        [ -r "$adopt" ] || die "cannot read $adopt"
        [ -s "$adopt" ] || die "$adopt is empty; --no-adopt says that nothing runs here"
        if LC_ALL=C grep -q "$(printf '[\001-\010\013\014\016-\037\177]')" "$adopt"; then
            die "$adopt has control characters"
        fi
        say "adopting    $adopt"
        validate_adoption
    elif [ -n "$force" ] && [ -e "$state/last_recv_remote_config.dat" ]; then
        say "adopting    nothing: the Supervisor goes on with the last configuration that it got"
    elif [ -n "$old_service" ]; then
        warn "NOTHING IS ADOPTED: the new agent collects nothing until you publish a configuration to it."
        warn "$old_service is left running; stop it when you have."
        old_service=''
    else
        warn "NOTHING IS ADOPTED: this host collects nothing until you publish a configuration to it."
    fi
}

# Asks the collector, before the token is spent on a configuration that it wouldn't run. What the service before has in
# its environment, the configuration may use.
validate_adoption() {
    "$collector" validate --help >/dev/null 2>&1 || return 0
    if [ -n "$old_pid" ] && [ -r "/proc/$old_pid/environ" ] && have xargs; then
        { cat "/proc/$old_pid/environ" && printf '%s\0' "$collector" validate "--config=$adopt"; } |
            xargs -0 env -i >"$work/validated" 2>&1 && return
    else
        "$collector" validate "--config=$adopt" >"$work/validated" 2>&1 && return
    fi
    tail -n 5 "$work/validated" >&2
    die "$collector refuses $adopt; mend it, or say --no-adopt. Nothing was changed, and the token wasn't used."
}

read_token() {
    token=${MUSTER_TOKEN:-}
    if [ -z "$token" ] && [ ! -t 0 ]; then
        read -r token || [ -n "$token" ] || die "no enrolment token on the standard input or in MUSTER_TOKEN"
    elif [ -z "$token" ]; then
        printf 'Enrolment token: '
        hushed=yes
        stty -echo
        read -r token || true
        stty echo
        hushed=''
        say ''
    fi
    token=$(printf %s "$token" | tr -d ' \t\r')
    case $token in
    mst_enrol_*[!A-Za-z0-9_]* | mst_enrol_ | '') die "that is no enrolment token; those begin with mst_enrol_" ;;
    mst_enrol_*) ;;
    *) die "that is no enrolment token; those begin with mst_enrol_" ;;
    esac
}

# The text of a JSON string.
json_text() {
    tab=$(printf '\t') return=$(printf '\r')
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e "s/$tab/\\\\t/g" -e "s/$return/\\\\r/g" "$1" | awk '{ printf "%s\\n", $0 }'
}

# request PATH SECRET [BODY]: puts the answer into $work/answer and prints its status. Secrets go by files, for what is on
# a command line everybody sees.
request() {
    if have curl; then
        printf 'header = "Authorization: Bearer %s"\n' "$2" >"$work/curlrc"
        if [ -n "${3:-}" ]; then
            printf 'header = "Content-Type: application/json"\ndata-binary = "@%s"\n' "$3" >>"$work/curlrc"
        fi
        curl -sS -K "$work/curlrc" --cacert "$work/ca.pem" --max-time 30 -o "$work/answer" -w '%{http_code}' "$server$1"
        return
    fi
    printf 'header = Authorization: Bearer %s\n' "$2" >"$work/wgetrc"
    set -- "$1" "${3:-}"
    if [ -n "$2" ]; then
        printf 'header = Content-Type: application/json\npost_file = %s\n' "$2" >>"$work/wgetrc"
    fi
    # Its exit code says 8 for every status from 400 on.
    WGETRC=$work/wgetrc wget -S --no-verbose --timeout=30 --tries=1 --content-on-error --ca-certificate="$work/ca.pem" \
        -O "$work/answer" "$server$1" 2>"$work/wget.log" || [ $? = 8 ] || {
        tail -n 2 "$work/wget.log" >&2
        return 1
    }
    awk '$1 ~ /^HTTP\// { status = $2 } END { printf "%s", status }' "$work/wget.log"
}

# One text of the last answer, with the quotes that are in it.
field() {
    sed -n 's/.*"'"$1"'" *: *"\(\([^"\]\|\\.\)*\)".*/\1/p' "$work/answer" |
        sed -e 's/\\n/ /g' -e 's/\\\(["\/]\)/\1/g' | head -n 1
}

enrol() {
    {
        printf '{"host":"%s","system":"%s"' "$host" "$(uname -srm | tr -cd 'A-Za-z0-9._ -')"
        if [ -r /etc/machine-id ]; then printf ',"host_id":"%s"' "$(tr -cd 'A-Za-z0-9-' </etc/machine-id)"; fi
        if [ -n "$named" ]; then printf ',"name":"%s"' "$host"; fi
        if [ -n "$adopt" ]; then
            printf ',"running_config":"'
            json_text "$adopt"
            printf '"'
        fi
        printf '}'
    } >"$work/body"
    status=$(request /v1/enroll "$token" "$work/body") ||
        die "cannot reach $server; does the name resolve, is its port open, and is the authority the server's?"
    case $status in
    201) ;;
    401) die "the server doesn't take this token: it is used up, expired or revoked; make a new one on its page Add agents" ;;
    *) die "the server refused to enrol this host (status $status): $(field detail)" ;;
    esac
    credential=$(field credential) agent=$(field agent_id) kept=$(field adopted_as)
    [ -n "$credential" ] || die "the server's answer holds no credential"
    conflict=''
    if grep -q '"conflict" *: *true' "$work/answer"; then conflict=yes; fi
    pending=''
    if grep -q '"pending" *: *true' "$work/answer"; then pending=yes; fi
    say "enrolled    as agent ${agent:-(one of many)}"
    if [ -n "$adopt" ]; then
        [ -n "$kept" ] || die "the server keeps no configuration of this host; --no-adopt joins without; nothing was changed here"
        say "kept        by the server as config $kept, revision 1"
    fi
}

# Drops the lines of the Supervisor's file whose keys this Supervisor doesn't know: it refuses to start over one. Those
# that it knows stand in the program; a wrapper around it doesn't tell, and gets what most releases know.
only_known_keys() {
    readable=''
    if LC_ALL=C grep -aqF accepts_remote_config "$supervisor"; then readable=yes; fi
    while IFS= read -r line; do
        key=$(printf %s "$line" | sed -n 's/^  *\([a-z_]*\):.*/\1/p')
        case $readable:$key in
        *:automatic_config_rollback | *:collector_crash_log_snippet_kib | yes:?*)
            LC_ALL=C grep -aqF "$key" "$supervisor" || continue
            ;;
        esac
        printf '%s\n' "$line"
    done
}

# as_owner MODE FILE: gives a file to root and the agent's group.
as_owner() {
    chmod "$1" "$2"
    if [ "$(id -u)" = 0 ]; then chown "root:$group" "$2"; fi
}

make_user() {
    if [ -z "$user" ] && [ -n "$old_service" ]; then
        user=$(show User)
        group=$(show Group)
        user=${user:-root}
        say "user        $user, as $old_service had it"
    elif [ -z "$user" ] && [ -n "$force" ] && [ -n "$service" ] && [ -s "$unit" ]; then
        user=$(sed -n 's/^User=//p' "$unit") group=$(sed -n 's/^Group=//p' "$unit")
        say "user        $user, as before"
    fi
    if [ -n "$prefix" ] || [ "$(id -u)" != 0 ]; then
        user=$(id -un) group=$(id -gn)
    fi
    user=${user:-muster-agent}
    if ! id "$user" >/dev/null 2>&1; then
        would "create the user $user" && return 0
        useradd --system --user-group --no-create-home --home-dir "$state" --shell /usr/sbin/nologin "$user" 2>/dev/null ||
            adduser -S -D -H -h "$state" "$user" || die "cannot create the user $user"
        made_user=$user
    fi
    group=${group:-$(id -gn "$user")}
}

write_files() {
    mkdir -p "$etc" "$state" "${unit%/*}" "${log%/*}" "${pidfile%/*}"
    chmod 0755 "$etc"
    chmod 0750 "$state"
    # Not through links: what lies there was written by the agent's user.
    if [ "$(id -u)" = 0 ]; then chown -Rh "$user:$group" "$state"; fi

    cp "$work/ca.pem" "$etc/ca.pem"
    as_owner 0644 "$etc/ca.pem"
    config_files=''
    if [ -n "$base" ]; then
        cp "$base" "$etc/base.yaml"
        as_owner 0640 "$etc/base.yaml"
    fi
    if [ -e "$etc/base.yaml" ]; then config_files="  config_files: [\"$etc/base.yaml\"]"; fi
    supervisor_yaml | sed -e "s|@ENDPOINT@|wss://${server#https://}/v1/opamp|" -e "s|@CA@|$etc/ca.pem|" \
        -e "s|@COLLECTOR@|$collector|" -e "s|@STORAGE@|$state|" -e "s|config_apply_timeout: 15s|config_apply_timeout: ${apply_seconds}s|" |
        only_known_keys >"$work/supervisor.yaml"
    if [ -n "$config_files" ]; then
        awk -v line="$config_files" '{ print } $1 == "agent:" { print line }' "$work/supervisor.yaml" >"$etc/supervisor.yaml"
    else
        cp "$work/supervisor.yaml" "$etc/supervisor.yaml"
    fi
    as_owner 0644 "$etc/supervisor.yaml"
    if [ -n "$service" ]; then write_unit; fi
    if [ -n "$old_service" ]; then printf '%s\n' "$old_service" >"$etc/replaces"; fi
    if [ -n "$supervisor" ]; then printf '%s\n' "$supervisor" >"$etc/program"; fi
    if [ -n "$made_user" ]; then printf '%s\n' "$made_user" >"$etc/made_user"; fi
    # The credential comes last: with it the host counts as enrolled.
    keep_credential
    use_credential
}

# Keeps what this host was enrolled as beside what it runs as.
keep_credential() {
    printf '%s\n' "$agent" >"$etc/agent_id.new"
    printf 'MUSTER_AGENT_TOKEN=%s\n' "$credential" >"$etc/env.new"
    as_owner 0640 "$etc/env.new"
}

use_credential() {
    if [ -e "$etc/agent_id.new" ]; then mv "$etc/agent_id.new" "$etc/agent_id"; fi
    mv "$etc/env.new" "$etc/env"
}

# The unit, with the user, groups, abilities and environment of the service that it replaces.
write_unit() {
    unit_text | sed -e "s|@USER@|$user|" -e "s|@GROUP@|$group|" -e "s|@ETC@|$etc|g" -e "s|@SUPERVISOR@|$supervisor|" >"$unit"
    chmod 0644 "$unit"
    dropin=$unit.d/replaced.conf
    # An agent that is enrolled again has what it had.
    if [ -z "$old_service" ]; then
        [ -s "$etc/replaces" ] || rm -f "$dropin"
        return 0
    fi
    mkdir -p "${dropin%/*}"
    chmod 0755 "${dropin%/*}"
    {
        say "# What $old_service had, so that its configuration finds the same files, ports and variables."
        say '[Service]'
        for property in SupplementaryGroups AmbientCapabilities WorkingDirectory Environment; do
            value=$(show "$property")
            [ -z "$value" ] || say "$property=$value"
        done
        show EnvironmentFiles | sed -n 's|^\(/[^ ]*\) (.*|EnvironmentFile=-\1|p'
        # A program with capabilities of its own loses them otherwise.
        if have getcap && [ -n "$(getcap "$collector" 2>/dev/null)" ]; then say 'NoNewPrivileges=no'; fi
    } >"$dropin"
    # The environment may hold secrets.
    chmod 0600 "$dropin"
}

running() {
    if [ -n "$service" ]; then
        systemctl is-active --quiet muster-agent.service
    else
        [ -s "$pidfile" ] && kill -0 "$(cat "$pidfile")" 2>/dev/null
    fi
}

start_agent() {
    if [ -n "$service" ]; then
        systemctl daemon-reload
        systemctl enable --quiet muster-agent.service
        systemctl restart muster-agent.service
        return
    fi
    # In a session of its own, so that a signal for this script's terminal doesn't reach it.
    session=''
    if have setsid; then session=setsid; fi
    (
        # shellcheck disable=SC1091 # written by this script
        . "$etc/env"
        export MUSTER_AGENT_TOKEN
        exec $session "$(cat "$etc/program")" --config "$etc/supervisor.yaml" >>"$log" 2>&1 </dev/null
    ) &
    echo $! >"$pidfile"
}

stop_agent() {
    if [ -n "$service" ]; then
        systemctl disable --now --quiet muster-agent.service 2>/dev/null || true
        return
    fi
    running || return 0
    pid=$(cat "$pidfile")
    kill -INT "$pid"
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        kill -0 "$pid" 2>/dev/null || break
        sleep 1
    done
    if kill -0 "$pid" 2>/dev/null; then kill -KILL "$pid" 2>/dev/null || true; fi
    rm -f "$pidfile"
}

last_lines() {
    if [ -n "$service" ]; then
        journalctl --unit muster-agent.service --lines 20 --no-pager --output cat 2>/dev/null || true
    else
        tail -n 20 "$log" 2>/dev/null || true
    fi
    if [ -s "$state/agent.log" ]; then tail -n 10 "$state/agent.log"; fi
}

# Gives the host back to the service that was stopped for the new agent.
give_back() {
    [ -n "$swapped" ] || return 0
    swapped=''
    stop_agent
    if systemctl start "$old_service"; then
        warn "$old_service runs again; this host collects what it did before"
    else
        warn "$old_service DOES NOT START AGAIN; see: systemctl status $old_service"
    fi
}

# What the server says of this agent, into $work/answer. It ends the script where the credential is not accepted any more.
ask_server() {
    seen=$(request /v1/agent "$credential" 2>/dev/null) || return 1
    if [ "$seen" = 401 ]; then
        warn "the server doesn't accept this host's credential any more: it was refused, or its credential was revoked."
        die "to let it in again, make a token on the page Add agents and run this with --force"
    fi
    [ "$seen" = 200 ]
}

is_served() { grep -q '"state" *: *"active"' "$work/answer"; }

# Waits until an operator has approved the agent.
wait_for_decision() {
    say "waiting     up to $wait_seconds s for somebody to approve it, on the server's page Enrolment"
    deadline=$(($(date +%s) + wait_seconds))
    while [ "$(date +%s)" -lt "$deadline" ]; do
        if ask_server && is_served; then
            say "approved"
            return 0
        fi
        sleep 2
    done
    return 1
}

# Whether the server sees the agent, and sees it healthy with what it took over, or went on with.
settled() {
    if [ -z "${agent:-}" ]; then
        running
        return
    fi
    ask_server && is_served && grep -q '"online" *: *true' "$work/answer" || return 1
    # What ran with another credential until now may not have been missed yet. What is started again may have been given
    # another one by the server since its files were written.
    [ -n "$resume" ] || grep -q '"uses_this_credential" *: *true' "$work/answer" || return 1
    if [ -n "$going_on" ] && [ "$(field condition)" != healthy ]; then return 1; fi
    [ -n "$taken_over" ] || return 0
    case $(field config) in
    in_sync | unverified | drifted) [ "$(field condition)" = healthy ] ;;
    *) return 1 ;;
    esac
}

wait_for_agent() {
    say "waiting     up to $wait_seconds s for the server to see it${taken_over:+ healthy}${going_on:+ healthy}"
    deadline=$(($(date +%s) + wait_seconds))
    while [ "$(date +%s)" -lt "$deadline" ]; do
        if settled; then return 0; fi
        if grep -q '"state" *: *"\(pending\|conflict\|archived\)"' "$work/answer"; then
            warn "the agent isn't served: $(field reason)."
            warn "when somebody has decided about it on the server: sh join.sh --resume"
            return 1
        fi
        case $(field config) in failed | self_reverted) break ;; esac
        if [ -z "$service" ] && ! running; then break; fi
        sleep 2
    done
    warn "the new agent isn't there, or not healthy."
    if [ -s "$work/answer" ]; then
        reason=$(field reason) error=$(field error)
        case $reason in *"$error"*) error='' ;; esac
        warn "the server says: $reason${error:+ $error}"
    else
        warn "the server couldn't be asked: $server"
    fi
    warn 'the last lines of its log:'
    last_lines >&2
    cat >&2 <<'END'
Usual causes: the server's port is closed to this host; the server's name isn't in its certificate; a clock is off by hours;
a port of the configuration is taken by another process; the user can't read a file that the configuration names; an
exporter's destination is down, so that the collector isn't healthy. When it is mended: sh join.sh --resume
END
    return 1
}

start_and_wait() {
    if [ -n "$old_service" ]; then
        swapped=yes
        systemctl stop "$old_service"
    fi
    start_agent
    wait_for_agent || { give_back; exit 1; }
    if [ -n "$swapped" ]; then
        swapped=''
        systemctl disable --quiet "$old_service" 2>/dev/null || true
        say "replaced    $old_service, which is stopped and disabled; --uninstall brings it back"
    fi
    # Merged into the record that the host had before, it is that one.
    if [ -n "$(field agent_id)" ]; then printf '%s\n' "$(field agent_id)" >"$etc/agent_id"; fi
    say "joined      $(field reason)"
}

uninstall() {
    if [ ! -e "$etc" ] && [ ! -e "$state" ] && [ ! -e "$unit" ]; then
        say "nothing of an agent is here; nothing was changed"
        return
    fi
    if would "stop the agent, remove $etc, $state and its unit, and start what was replaced"; then return; fi
    stop_agent
    if [ -n "$service" ]; then
        rm -rf "$unit" "$unit.d"
        systemctl daemon-reload
        systemctl reset-failed muster-agent.service >/dev/null 2>&1 || true
    fi
    if [ -n "$service" ] && [ -s "$etc/replaces" ]; then
        old_service=$(cat "$etc/replaces")
        if systemctl enable --now --quiet "$old_service"; then
            say "$old_service runs again"
        else
            warn "$old_service DOES NOT START AGAIN; see: systemctl status $old_service"
        fi
    fi
    was=$(cat "$etc/agent_id" 2>/dev/null || true)
    # Only a user that this script made, and that nothing else took over meanwhile.
    made_user=$(cat "$etc/made_user" 2>/dev/null || true)
    rm -rf "$etc" "$state" "$log" "$pidfile"
    if [ -n "$made_user" ]; then
        userdel "$made_user" 2>/dev/null || deluser "$made_user" 2>/dev/null || warn "the user $made_user is left: remove it by hand"
    fi
    say "removed. The server still knows the agent ${was:-}: revoke its credential there, and archive it."
}

# Reads what this host was enrolled as.
read_enrolled() {
    [ -s "$etc/env" ] || die "this host isn't enrolled; run this without $1"
    credential=$(sed -n 's/^MUSTER_AGENT_TOKEN=//p' "$etc/env") agent=$(cat "$etc/agent_id")
    cp "$etc/ca.pem" "$work/ca.pem"
    server=https://$(sed -n 's|.*endpoint: "wss://\([^/]*\)/.*|\1|p' "$etc/supervisor.yaml")
}

# Exchanges the credential in the host's files. Until the new one is used both are good, so that nothing is lost on the
# way; at its first use all others of this agent die.
rotate() {
    read_enrolled --rotate
    [ -n "$agent" ] || die "this host's credential is shared by many agents; enrol it again with one of its own"
    group=$(stat -c %G "$etc/env" 2>/dev/null || id -gn)
    if would "exchange this host's credential at $server, restart its agent and wait for it"; then return; fi
    printf '{}' >"$work/body"
    status=$(request /v1/rotate "$credential" "$work/body") || die "cannot reach $server; nothing was changed"
    case $status in
    201) ;;
    401) die "the server doesn't accept this host's credential any more; enrol it again with --force" ;;
    *) die "the server made no new credential (status $status): $(field detail); nothing was changed" ;;
    esac
    before=$credential credential=$(field credential)
    [ -n "$credential" ] || die "the server's answer holds no credential; nothing was changed"
    keep_credential
    cp -p "$etc/env" "$etc/env.before"
    use_credential
    unrotated=yes
    if running; then stop_agent; fi
    start_agent
    wait_for_agent || exit 1
    unrotated=''
    rm -f "$etc/env.before"
    say "rotated     the credential before is dead"
}

# Gives the host back the credential that it had, when the new one never came to be used.
take_back_rotation() {
    [ -n "$unrotated" ] || return 0
    unrotated='' credential=$before
    if [ "$(request /v1/agent "$before" 2>/dev/null || true)" = 200 ]; then
        mv "$etc/env.before" "$etc/env"
        stop_agent
        start_agent
        warn "the host is back on the credential that it had"
    else
        rm -f "$etc/env.before"
        warn "the new credential was used already, so it stays; see the lines above for why the agent isn't well"
    fi
}

resume() {
    read_enrolled --resume
    # Only what still runs has to make way, and has to be followed by something as good.
    if [ -n "$service" ] && [ -s "$etc/replaces" ] && systemctl is-active --quiet "$(cat "$etc/replaces")"; then
        old_service=$(cat "$etc/replaces") taken_over=yes
    fi
    if [ -s "$etc/env.new" ]; then
        credential=$(sed -n 's/^MUSTER_AGENT_TOKEN=//p' "$etc/env.new")
        agent=$(cat "$etc/agent_id.new" 2>/dev/null || cat "$etc/agent_id")
        if [ -e "$state/last_recv_remote_config.dat" ]; then going_on=yes; fi
    fi
    if would "start the agent and wait for it"; then return; fi
    if ask_server && ! is_served; then
        die "nobody has decided for it yet: $(field reason). Nothing was changed; afterwards: sh join.sh --resume"
    fi
    # One that runs already would be joined by a second.
    if running; then stop_agent; fi
    # Enrolled again, it waited until now for an operator to decide.
    if [ -s "$etc/env.new" ]; then use_credential; fi
    start_and_wait
}

join() {
    if [ -s "$etc/env" ] && [ -z "$force" ]; then
        say "this host is enrolled already, as agent $(cat "$etc/agent_id" 2>/dev/null || true); nothing was changed (--force enrols it anew)"
        running || die "but its agent doesn't run; start it with --resume"
        return
    fi
    have curl || { wget --version 2>/dev/null | grep -q GNU; } || die "curl is needed (or GNU wget)"
    find_running
    check_programs
    check_adoption
    [ -z "$base" ] || [ -r "$base" ] || die "cannot read $base"
    make_user
    if [ -n "$dry" ]; then
        would "enrol at $server as $host, write $etc and $state${service:+ and $unit}"
        [ -z "$old_service" ] || would "stop $old_service once the server holds its configuration"
        would "start the agent as $user and wait up to $wait_seconds s for the server to see it"
        return
    fi
    read_token
    # A living agent of the same host would look like a copy of it.
    if [ -n "$force" ] && running; then
        stopped=yes
        stop_agent
    fi
    enrol
    if [ -n "$adopt" ]; then
        taken_over=yes
    elif [ -n "$force" ] && [ -e "$state/last_recv_remote_config.dat" ]; then
        going_on=yes
    fi
    if [ -n "$pending" ]; then
        if [ -n "$stopped" ]; then
            keep_credential
            stopped=''
            start_agent
        else
            write_files
        fi
        wait_for_decision || die "nobody has approved it yet; what ran here runs on. Afterwards: sh join.sh --resume"
        if running; then
            stopped=yes
            stop_agent
        fi
    fi
    if [ -n "$conflict" ]; then
        warn "a living agent of this host's name is there already, so an operator has to look at this one first."
        if [ -n "$stopped" ]; then
            keep_credential
            die "what ran here runs on, with its old credential; afterwards: sh join.sh --resume"
        fi
        write_files
        die "nothing was started or stopped here; afterwards: sh join.sh --resume"
    fi
    write_files
    stopped=''
    start_and_wait
}

# Leaves the host as it was found when this ends too early.
clean_up() {
    [ -z "$hushed" ] || stty echo
    give_back
    take_back_rotation
    if [ -n "$stopped" ]; then start_agent; fi
    rm -rf "$work"
}

main() {
    work=$(mktemp -d)
    : >"$work/answer"
    trap clean_up EXIT
    parse "$@"
    trap 'exit 130' HUP INT TERM
    if [ -n "$ca_given" ]; then cp "$ca_given" "$work/ca.pem"; else ca_pem >"$work/ca.pem"; fi
    if [ "$mode" = uninstall ]; then
        uninstall
    elif [ "$mode" = rotate ]; then
        rotate
    elif [ -n "$resume" ]; then
        resume
    else
        join
    fi
}

ca_pem() {
    cat <<'END_OF_AUTHORITY'
@CA_PEM@
END_OF_AUTHORITY
}

supervisor_yaml() {
    cat <<'END_OF_SUPERVISOR'
@SUPERVISOR_YAML@
END_OF_SUPERVISOR
}

unit_text() {
    cat <<'END_OF_UNIT'
@UNIT@
END_OF_UNIT
}

# Last, so that a script that was cut off while it came does nothing.
main "$@"
