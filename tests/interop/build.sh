#!/bin/sh
# Builds the real agents that the interop tests drive: tests/interop/build.sh [FOLDER]
# Needs Go and a module proxy; takes minutes on a cold cache, a second on a warm one.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "${1:-$here/bin}"
bin=$(cd "${1:-$here/bin}" && pwd)
cd "$here/go"

# Two cores are shared with other builds, and linking several collectors' worth of code at once takes gigabytes.
export GOMAXPROCS="${GOMAXPROCS:-2}"
# Without Prometheus' ways to discover targets, which bring in the clients of a dozen clouds.
export GOFLAGS="${GOFLAGS:-} -p=${INTEROP_BUILD_JOBS:-1} -trimpath -mod=readonly -buildvcs=false -tags=remove_all_sd"
export CGO_ENABLED=0

contrib=github.com/open-telemetry/opentelemetry-collector-contrib
nice go build -o "$bin/opamp-client" ./opamp-client
nice go build -o "$bin/otelcol" ./collector
nice go build -o "$bin/opampsupervisor" "$contrib/cmd/opampsupervisor"

version() { go version -m "$1" | awk -v module="$2" '($1 == "mod" || $1 == "dep") && $2 == module { print $3 }'; }
echo "$bin/opamp-client     opamp-go $(version "$bin/opamp-client" github.com/open-telemetry/opamp-go)"
echo "$bin/otelcol          collector $(version "$bin/otelcol" go.opentelemetry.io/collector/otelcol)"
echo "$bin/opampsupervisor  $(version "$bin/opampsupervisor" "$contrib/cmd/opampsupervisor")"
