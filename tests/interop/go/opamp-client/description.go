package main

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/open-telemetry/opamp-go/protobufs"
)

// description is called with the mutex held.
func (a *agent) description() *protobufs.AgentDescription {
	identifying := map[string]string{
		"service.name": a.options.name, "service.version": "1.0.0", "service.instance.id": a.uid.String(),
	}
	other := map[string]string{"os.type": "linux", "host.name": fmt.Sprintf("%s-%d", a.options.name, a.number)}
	for key, value := range a.attributes {
		if _, identifies := identifying[key]; identifies {
			identifying[key] = value
		} else {
			other[key] = value
		}
	}
	return &protobufs.AgentDescription{
		IdentifyingAttributes: keyValues(identifying), NonIdentifyingAttributes: keyValues(other),
	}
}

func keyValues(pairs map[string]string) []*protobufs.KeyValue {
	list := make([]*protobufs.KeyValue, 0, len(pairs))
	for key, value := range pairs {
		text := &protobufs.AnyValue_StringValue{StringValue: value}
		list = append(list, &protobufs.KeyValue{Key: key, Value: &protobufs.AnyValue{Value: text}})
	}
	slices.SortFunc(list, func(x, y *protobufs.KeyValue) int { return strings.Compare(x.Key, y.Key) })
	return list
}

func components() *protobufs.AvailableComponents {
	kinds := map[string][]string{
		"receivers": {"otlp", "hostmetrics"}, "processors": {"batch"}, "exporters": {"debug", "otlphttp"},
	}
	all := map[string]*protobufs.ComponentDetails{}
	for kind, names := range kinds {
		inner := map[string]*protobufs.ComponentDetails{}
		for _, name := range names {
			inner[name] = &protobufs.ComponentDetails{Metadata: keyValues(map[string]string{"code.namespace": "interop"})}
		}
		all[kind] = &protobufs.ComponentDetails{SubComponentMap: inner}
	}
	hash := sha256.Sum256(fmt.Append(nil, kinds))
	return &protobufs.AvailableComponents{Components: all, Hash: hash[:]}
}
