// The collector of the interop tests: the published OpenTelemetry Collector with the few components that the tests
// configure, among them those that the Supervisor needs (opamp extension, nop receiver, nop exporter).
package main

import (
	"fmt"
	"os"
	"runtime/debug"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/healthcheckextension"
	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/opampextension"
	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/resourcedetectionprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/filelogreceiver"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/hostmetricsreceiver"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/prometheusreceiver"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/debugexporter"
	"go.opentelemetry.io/collector/exporter/nopexporter"
	"go.opentelemetry.io/collector/exporter/otlphttpexporter"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/batchprocessor"
	"go.opentelemetry.io/collector/processor/memorylimiterprocessor"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/nopreceiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/service/telemetry/otelconftelemetry"
)

const (
	core    = "go.opentelemetry.io/collector/"
	contrib = "github.com/open-telemetry/opentelemetry-collector-contrib/"
)

func main() {
	command := otelcol.NewCommand(otelcol.CollectorSettings{
		BuildInfo: component.BuildInfo{
			Command:     "otelcol-interop",
			Description: "OpenTelemetry Collector of the interop tests",
			Version:     versions()[core+"otelcol"],
		},
		Factories: factories,
		ConfigProviderSettings: otelcol.ConfigProviderSettings{
			ResolverSettings: confmap.ResolverSettings{
				ProviderFactories: []confmap.ProviderFactory{
					fileprovider.NewFactory(),
					envprovider.NewFactory(),
					yamlprovider.NewFactory(),
				},
				DefaultScheme: "env",
			},
		},
	})
	if err := command.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func factories() (otelcol.Factories, error) {
	receivers := kind[receiver.Factory]{
		core + "receiver/nopreceiver":            nopreceiver.NewFactory(),
		core + "receiver/otlpreceiver":           otlpreceiver.NewFactory(),
		contrib + "receiver/filelogreceiver":     filelogreceiver.NewFactory(),
		contrib + "receiver/hostmetricsreceiver": hostmetricsreceiver.NewFactory(),
		contrib + "receiver/prometheusreceiver":  prometheusreceiver.NewFactory(),
	}
	processors := kind[processor.Factory]{
		core + "processor/batchprocessor":                batchprocessor.NewFactory(),
		core + "processor/memorylimiterprocessor":        memorylimiterprocessor.NewFactory(),
		contrib + "processor/resourcedetectionprocessor": resourcedetectionprocessor.NewFactory(),
	}
	exporters := kind[exporter.Factory]{
		core + "exporter/debugexporter":    debugexporter.NewFactory(),
		core + "exporter/nopexporter":      nopexporter.NewFactory(),
		core + "exporter/otlphttpexporter": otlphttpexporter.NewFactory(),
	}
	extensions := kind[extension.Factory]{
		contrib + "extension/healthcheckextension": healthcheckextension.NewFactory(),
		contrib + "extension/opampextension":       opampextension.NewFactory(),
		contrib + "extension/storage/filestorage":  filestorage.NewFactory(),
	}

	all := otelcol.Factories{Telemetry: otelconftelemetry.NewFactory()}
	var failures [4]error
	all.Receivers, all.ReceiverModules, failures[0] = receivers.registered()
	all.Processors, all.ProcessorModules, failures[1] = processors.registered()
	all.Exporters, all.ExporterModules, failures[2] = exporters.registered()
	all.Extensions, all.ExtensionModules, failures[3] = extensions.registered()
	for _, err := range failures {
		if err != nil {
			return otelcol.Factories{}, err
		}
	}
	return all, nil
}

// kind holds the factories of one kind of component, each under the Go module that it comes from.
type kind[F component.Factory] map[string]F

// registered gives the two maps that the collector wants: factories by type (and by its old alias, where it has
// one), and "module version" by type, which the opamp extension reports as the available components.
func (k kind[F]) registered() (map[component.Type]F, map[component.Type]string, error) {
	known := versions()
	list := make([]F, 0, len(k))
	modules := make(map[component.Type]string, len(k))
	for module, factory := range k {
		list = append(list, factory)
		modules[factory.Type()] = module + " " + known[module]
	}
	byType, err := otelcol.MakeFactoryMap(list...)
	return byType, modules, err
}

// versions tells which version of each module this program was linked with.
func versions() map[string]string {
	found := map[string]string{}
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, module := range build.Deps {
			found[module.Path] = module.Version
		}
	}
	return found
}
