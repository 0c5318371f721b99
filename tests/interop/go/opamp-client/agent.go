package main

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/open-telemetry/opamp-go/client"
	"github.com/open-telemetry/opamp-go/client/types"
	"github.com/open-telemetry/opamp-go/protobufs"
)

const (
	reportsComponents   = uint64(protobufs.AgentCapabilities_AgentCapabilities_ReportsAvailableComponents)
	reportsHealth       = uint64(protobufs.AgentCapabilities_AgentCapabilities_ReportsHealth)
	defaultCapabilities = reportsHealth |
		uint64(protobufs.AgentCapabilities_AgentCapabilities_ReportsStatus|
			protobufs.AgentCapabilities_AgentCapabilities_AcceptsRemoteConfig|
			protobufs.AgentCapabilities_AgentCapabilities_ReportsEffectiveConfig|
			protobufs.AgentCapabilities_AgentCapabilities_AcceptsOpAMPConnectionSettings|
			protobufs.AgentCapabilities_AgentCapabilities_AcceptsRestartCommand|
			protobufs.AgentCapabilities_AgentCapabilities_ReportsRemoteConfig|
			protobufs.AgentCapabilities_AgentCapabilities_ReportsHeartbeat|
			protobufs.AgentCapabilities_AgentCapabilities_ReportsConnectionSettingsStatus)
	// How long a disconnect may take; the client itself waits 5 s for the server's Close.
	stopTimeout = 8 * time.Second
)

// agent is one simulated agent: its state, and the client that is connected for it, if any.
type agent struct {
	number  int
	options options
	started time.Time

	mutex      sync.Mutex
	uid        uuid.UUID
	client     client.OpAMPClient
	sentFirst  bool
	attributes map[string]string
	health     *protobufs.ComponentHealth
	status     *protobufs.RemoteConfigStatus
	effective  *protobufs.AgentConfigMap
	// The config that was applied last, for agents that go back to it.
	applied *protobufs.AgentRemoteConfig
}

func newAgent(number int, uid uuid.UUID, o options) *agent {
	a := &agent{number: number, options: o, started: time.Now(), uid: uid, attributes: map[string]string{}}
	for key, value := range o.attributes {
		a.attributes[key] = strings.ReplaceAll(value, "{i}", strconv.Itoa(number))
	}
	a.setHealth(true, "")
	if len(o.appliedHash) > 0 {
		a.status = &protobufs.RemoteConfigStatus{
			LastRemoteConfigHash: o.appliedHash,
			Status:               protobufs.RemoteConfigStatuses_RemoteConfigStatuses_APPLIED,
		}
	}
	return a
}

func (a *agent) identity() string {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return a.uid.String()
}

func (a *agent) emit(event string, more fields) { emit(a.number, a.identity(), event, more) }

// connect starts a new client with the agent's present state, as after a restart of the agent's process.
func (a *agent) connect() error {
	a.mutex.Lock()
	if a.client != nil {
		a.mutex.Unlock()
		return errors.New("already connected")
	}
	var c client.OpAMPClient
	if strings.HasPrefix(a.options.endpoint, "http") {
		c = client.NewHTTP(clientLog{a})
	} else {
		c = client.NewWebSocket(clientLog{a})
	}
	a.client, a.sentFirst = c, false
	capabilities := protobufs.AgentCapabilities(a.options.capabilities)
	settings := types.StartSettings{
		OpAMPServerURL:     a.options.endpoint,
		Header:             a.options.headers,
		TLSConfig:          a.options.tls,
		InstanceUid:        types.InstanceUid(a.uid),
		RemoteConfigStatus: a.status,
		EnableCompression:  a.options.gzip,
		HeartbeatInterval:  a.options.interval,
		Callbacks:          a.callbacks(),
	}
	description, health := a.description(), a.health
	a.mutex.Unlock()

	a.emit("started", fields{"endpoint": settings.OpAMPServerURL})
	// Capabilities come after what they promise: the client refuses them otherwise.
	failures := []error{c.SetAgentDescription(description)}
	if a.options.capabilities&reportsHealth != 0 {
		failures = append(failures, c.SetHealth(health))
	}
	if a.options.components {
		failures = append(failures, c.SetAvailableComponents(components()))
	}
	failures = append(failures, c.SetCapabilities(&capabilities))
	if err := errors.Join(failures...); err != nil {
		return err
	}
	return c.Start(context.Background(), settings)
}

func (a *agent) disconnect() {
	a.mutex.Lock()
	c := a.client
	a.client = nil
	a.mutex.Unlock()
	if c == nil {
		return
	}
	limit, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	more := fields{}
	if err := c.Stop(limit); err != nil {
		more["message"] = err.Error()
	}
	a.emit("stopped", more)
}

// obey carries out one line that the test wrote: see the README for the verbs. What is told to an agent without a
// connection is part of its state when it connects again.
func (a *agent) obey(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	a.mutex.Lock()
	c := a.client
	a.mutex.Unlock()
	switch verb {
	case "connect":
		return a.connect()
	case "disconnect":
		a.disconnect()
		return nil
	case "health":
		state, text, _ := strings.Cut(rest, " ")
		if state != "good" && state != "bad" {
			return errors.New("health is good or bad")
		}
		health := a.setHealth(state == "good", text)
		if c == nil {
			return nil
		}
		return c.SetHealth(health)
	case "attr":
		key, value, found := strings.Cut(rest, "=")
		if !found {
			return errors.New("expected attr KEY=VALUE")
		}
		a.mutex.Lock()
		a.attributes[key] = value
		description := a.description()
		a.mutex.Unlock()
		if c == nil {
			return nil
		}
		return c.SetAgentDescription(description)
	case "effective":
		a.mutex.Lock()
		a.effective = &protobufs.AgentConfigMap{ConfigMap: map[string]*protobufs.AgentConfigFile{
			"": {Body: []byte(strings.ReplaceAll(rest, `\n`, "\n")), ContentType: "text/yaml"},
		}}
		a.mutex.Unlock()
		a.sendEffective(context.Background())
		return nil
	}
	return errors.New("unknown verb")
}

func (a *agent) setHealth(healthy bool, failure string) *protobufs.ComponentHealth {
	status := "StatusOK"
	if !healthy {
		status = "StatusRecoverableError"
	}
	health := &protobufs.ComponentHealth{
		Healthy:            healthy,
		LastError:          failure,
		Status:             status,
		StartTimeUnixNano:  uint64(a.started.UnixNano()),
		StatusTimeUnixNano: uint64(time.Now().UnixNano()),
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.health = health
	return health
}
