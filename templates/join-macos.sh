#!/bin/sh
# Joins this Mac to Muster: enrols it, and runs its collector under the Supervisor as a launchd daemon.
# Handed out by a server, which put its address and its certificate authority into it. Runs as root; see --help.
set -eu
umask 077

server='@SERVER@'
supervisor='' collector='' host='' mode=join force='' dry='' wait_seconds=120
etc=/usr/local/etc/muster-agent state=/usr/local/var/muster-agent log=/usr/local/var/log/muster-agent.log
label=muster-agent plist=/Library/LaunchDaemons/muster-agent.plist work=''

usage() {
    cat <<'END'
Usage: sh join-macos.sh [OPTIONS]

The enrolment token is read from MUSTER_TOKEN, else from standard input.

  --collector FILE     the collector; with the opamp extension and the nop receiver and exporter [found]
  --supervisor FILE    the Supervisor (opampsupervisor) [found]
  --name NAME          what the host is called [its host name]
  --wait S             seconds to wait for the agent to be seen [120]
  --force              enrol again, as a new agent, although this host is enrolled already
  --rotate             exchange the credential in this host's files for a new one
  --dry-run            say what would be done
  --uninstall          stop the agent and remove everything
END
}

say() { printf '%s\n' "$*"; }
die() {
    printf 'join: %s\n' "$*" >&2
    exit 1
}
would() { [ -n "$dry" ] && say "would $*"; }

parse() {
    while [ $# -gt 0 ]; do
        case $1 in
        --help | -h) usage && exit 0 ;;
        --force) force=yes ;;
        --dry-run) dry=yes ;;
        --uninstall) mode=uninstall ;;
        --rotate) mode=rotate ;;
        --collector | --supervisor | --name | --wait)
            [ $# -ge 2 ] || die "$1 needs a value"
            case $1 in
            --collector) collector=$2 ;;
            --supervisor) supervisor=$2 ;;
            --name) host=$2 ;;
            --wait) wait_seconds=$2 ;;
            esac
            shift
            ;;
        *) die "$1 is not an option; see --help" ;;
        esac
        shift
    done
    case $wait_seconds in *[!0-9]*) die "--wait takes whole seconds" ;; esac
    [ -n "$host" ] || host=$(scutil --get LocalHostName 2>/dev/null || hostname)
    host=$(printf %s "$host" | tr -cd 'A-Za-z0-9._-')
    [ "$(uname -s)" = Darwin ] || die "this is for macOS; a Linux host takes join.sh"
    [ -n "$dry" ] || [ "$(id -u)" = 0 ] || die "this has to run as root"
}

# find_program WHAT GIVEN PLACE...: the given program, or the first of the places that is one.
find_program() {
    what=$1 given=$2
    shift 2
    for place in ${given:-"$@"}; do
        found=$(command -v "$place" 2>/dev/null) || continue
        case $found in *[!A-Za-z0-9._/+@:,=~-]*) die "the path $found has characters that can't be passed on" ;; esac
        printf %s "$found"
        return
    done
    die "no $what found; name it with --$what FILE"
}

check_programs() {
    supervisor=$(find_program supervisor "$supervisor" opampsupervisor /usr/local/bin/opampsupervisor /opt/homebrew/bin/opampsupervisor)
    collector=$(find_program collector "$collector" otelcol-contrib /usr/local/bin/otelcol-contrib /opt/homebrew/bin/otelcol-contrib)
    components=$("$collector" components 2>/dev/null) || die "$collector doesn't list its components"
    case $components in *opamp*) ;; *) die "$collector lacks the opamp extension; the contrib collector has it" ;; esac
    say "collector   $collector"
    say "supervisor  $supervisor"
}

# request PATH SECRET [BODY]: puts the answer into $work/answer and prints its status. Secrets go by files, for what is on
# a command line everybody sees.
request() {
    printf 'header = "Authorization: Bearer %s"\n' "$2" >"$work/curlrc"
    if [ -n "${3:-}" ]; then
        printf 'header = "Content-Type: application/json"\ndata-binary = "@%s"\n' "$3" >>"$work/curlrc"
    fi
    curl -sS -K "$work/curlrc" --cacert "$work/ca.pem" --max-time 30 -o "$work/answer" -w '%{http_code}' "$server$1"
}

field() { sed -n 's/.*"'"$1"'" *: *"\([^"]*\)".*/\1/p' "$work/answer" | head -n 1; }

enrol() {
    token=${MUSTER_TOKEN:-}
    if [ -z "$token" ]; then read -r token || [ -n "$token" ] || die "no enrolment token on the standard input or in MUSTER_TOKEN"; fi
    token=$(printf %s "$token" | tr -d ' \t\r')
    case $token in mst_enrol_*) ;; *) die "that is no enrolment token; those begin with mst_enrol_" ;; esac
    system=$(printf 'macOS %s %s' "$(sw_vers -productVersion 2>/dev/null || true)" "$(uname -m)" | tr -cd 'A-Za-z0-9._ -')
    printf '{"host":"%s","system":"%s"}' "$host" "$system" >"$work/body"
    status=$(request /v1/enroll "$token" "$work/body") || die "cannot reach $server"
    case $status in
    201) ;;
    401) die "the server doesn't take this token: it is used up, expired or revoked" ;;
    *) die "the server refused to enrol this host (status $status): $(field detail)" ;;
    esac
    credential=$(field credential) agent=$(field agent_id)
    [ -n "$credential" ] || die "the server's answer holds no credential"
    say "enrolled    as agent ${agent:-(one of many)}"
}

keep_credential() {
    printf '%s\n' "$agent" >"$etc/agent_id"
    printf 'MUSTER_AGENT_TOKEN=%s\n' "$credential" >"$etc/env.new"
    mv "$etc/env.new" "$etc/env"
}

# launchd reads no file of variables, and its plist everybody may read: a small script brings the credential.
write_files() {
    mkdir -p "$etc" "$state" "${log%/*}"
    cp "$work/ca.pem" "$etc/ca.pem"
    supervisor_yaml | sed -e "s|@ENDPOINT@|wss://${server#https://}/v1/opamp|" -e "s|@CA@|$etc/ca.pem|" \
        -e "s|@COLLECTOR@|$collector|" -e "s|@STORAGE@|$state|" >"$etc/supervisor.yaml"
    printf '#!/bin/sh\nset -eu\n. %s/env\nexport MUSTER_AGENT_TOKEN\nexec %s --config %s/supervisor.yaml\n' \
        "$etc" "$supervisor" "$etc" >"$etc/run"
    chmod 0700 "$etc/run"
    plist_text | sed -e "s|@LABEL@|$label|" -e "s|@RUN@|$etc/run|" -e "s|@LOG@|$log|g" >"$plist"
    chmod 0644 "$plist"
    keep_credential
}

start_agent() { launchctl bootstrap system "$plist"; }
stop_agent() { launchctl bootout "system/$label" 2>/dev/null || true; }

wait_for_agent() {
    say "waiting     up to $wait_seconds s for the server to see it"
    deadline=$(($(date +%s) + wait_seconds))
    while [ "$(date +%s)" -lt "$deadline" ]; do
        seen=$(request /v1/agent "$credential" 2>/dev/null) || seen=''
        [ "$seen" != 401 ] || die "the server doesn't accept this host's credential: it was refused or revoked"
        if [ "$seen" = 200 ] && grep -q '"state" *: *"active"' "$work/answer" &&
            grep -q '"uses_this_credential" *: *true' "$work/answer"; then
            return 0
        fi
        sleep 2
    done
    tail -n 20 "$log" >&2 2>/dev/null || true
    die "the agent isn't there: $(field reason). It goes on trying; its log is $log"
}

join() {
    if [ -s "$etc/env" ] && [ -z "$force" ]; then
        say "this host is enrolled already; nothing was changed (--force enrols it anew)"
        return
    fi
    check_programs
    if would "enrol at $server as $host, write $etc, $state and $plist, and start the agent"; then return; fi
    enrol
    stop_agent
    write_files
    start_agent
    wait_for_agent
    say "joined      $(field reason)"
}

rotate() {
    [ -s "$etc/env" ] || die "this host isn't enrolled; run this without --rotate"
    if would "exchange this host's credential at $server, and restart its agent"; then return; fi
    credential=$(sed -n 's/^MUSTER_AGENT_TOKEN=//p' "$etc/env") agent=$(cat "$etc/agent_id")
    printf '{}' >"$work/body"
    status=$(request /v1/rotate "$credential" "$work/body") || die "cannot reach $server; nothing was changed"
    [ "$status" = 201 ] || die "the server made no new credential (status $status): $(field detail); nothing was changed"
    credential=$(field credential)
    keep_credential
    stop_agent
    start_agent
    wait_for_agent
    say "rotated     the credential before is dead"
}

uninstall() {
    if would "stop the agent, and remove $etc, $state and $plist"; then return; fi
    stop_agent
    was=$(cat "$etc/agent_id" 2>/dev/null || true)
    rm -rf "$etc" "$state" "$plist" "$log"
    say "removed. The server still knows the agent ${was:-}: revoke its credential there, and archive it."
}

main() {
    work=$(mktemp -d)
    : >"$work/answer"
    trap 'rm -rf "$work"' EXIT
    parse "$@"
    ca_pem >"$work/ca.pem"
    "$mode"
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

plist_text() {
    cat <<'END_OF_PLIST'
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
    <key>Label</key>
    <string>@LABEL@</string>
    <key>ProgramArguments</key>
    <array>
        <string>@RUN@</string>
    </array>
    <key>RunAtLoad</key>
    <true/>
    <key>KeepAlive</key>
    <true/>
    <key>ThrottleInterval</key>
    <integer>5</integer>
    <key>StandardOutPath</key>
    <string>@LOG@</string>
    <key>StandardErrorPath</key>
    <string>@LOG@</string>
</dict>
</plist>
END_OF_PLIST
}

# Last, so that a script that was cut off while it came does nothing.
main "$@"
