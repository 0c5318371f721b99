package main

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/open-telemetry/opamp-go/client/types"
	"github.com/open-telemetry/opamp-go/protobufs"
)

// ownUpdate marks the context of an effective config update of ours: the client asks for the effective config
// without one when the server wants the full state, and tells so in no other way.
type ownUpdate struct{}

func (a *agent) callbacks() types.Callbacks {
	return types.Callbacks{
		OnConnect: func(context.Context) { a.emit("connected", nil) },
		OnConnectFailed: func(_ context.Context, err error) {
			a.emit("connect_failed", fields{"message": err.Error()})
		},
		OnError: func(_ context.Context, err *protobufs.ServerErrorResponse) {
			a.emit("error", fields{"type": err.GetType().String(), "message": err.GetErrorMessage()})
		},
		OnCommand: func(_ context.Context, command *protobufs.ServerToAgentCommand) error {
			a.emit("command", fields{"type": command.GetType().String()})
			return nil
		},
		OnMessage:                 a.onMessage,
		OnOpampConnectionSettings: a.onConnectionOffer,
		OnConnectionSettings:      a.onTelemetryOffer,
		GetEffectiveConfig:        a.effectiveConfig,
	}
}

func (a *agent) onMessage(ctx context.Context, message *types.MessageData) {
	if id := message.AgentIdentification; id != nil {
		old := a.identity()
		a.mutex.Lock()
		copy(a.uid[:], id.NewInstanceUid)
		a.mutex.Unlock()
		a.emit("identification", fields{"old_uid": old})
	}
	if config := message.RemoteConfig; config != nil {
		a.onRemoteConfig(ctx, config)
	}
}

func (a *agent) onRemoteConfig(ctx context.Context, config *protobufs.AgentRemoteConfig) {
	entries := []fields{}
	failure := ""
	for name, file := range config.GetConfig().GetConfigMap() {
		body := string(file.GetBody())
		entries = append(entries, fields{"name": name, "content_type": file.GetContentType(), "body": body})
		if a.options.failOn != "" && strings.Contains(body, a.options.failOn) {
			failure = a.options.failWith
			if failure == "" {
				failure = fmt.Sprintf("config %q contains %q", name, a.options.failOn)
			}
		}
	}
	slices.SortFunc(entries, func(x, y fields) int { return strings.Compare(x["name"].(string), y["name"].(string)) })
	a.emit("remote_config", fields{"hash": hex.EncodeToString(config.GetConfigHash()), "entries": entries})

	finish := func() {
		if failure != "" {
			a.report(config, protobufs.RemoteConfigStatuses_RemoteConfigStatuses_FAILED, failure)
			if a.options.goesBack {
				time.AfterFunc(time.Second, func() { a.goBack(ctx) })
			}
			return
		}
		a.mutex.Lock()
		a.effective, a.applied = config.GetConfig(), config
		a.mutex.Unlock()
		a.report(config, protobufs.RemoteConfigStatuses_RemoteConfigStatuses_APPLIED, "")
		if a.options.effective {
			a.sendEffective(ctx)
		}
	}
	if a.options.applyDelay == 0 {
		finish()
		return
	}
	a.report(config, protobufs.RemoteConfigStatuses_RemoteConfigStatuses_APPLYING, "")
	time.AfterFunc(a.options.applyDelay, finish)
}

// goBack reports the config that was applied last, as a Supervisor does that goes back to it by itself.
func (a *agent) goBack(ctx context.Context) {
	a.mutex.Lock()
	config := a.applied
	a.mutex.Unlock()
	if config == nil {
		return
	}
	a.report(config, protobufs.RemoteConfigStatuses_RemoteConfigStatuses_APPLIED, "")
	if a.options.effective {
		a.sendEffective(ctx)
	}
}

// report remembers the outcome of a config, and sends it if a client is there to send it.
func (a *agent) report(config *protobufs.AgentRemoteConfig, outcome protobufs.RemoteConfigStatuses, failure string) {
	status := &protobufs.RemoteConfigStatus{
		LastRemoteConfigHash: config.GetConfigHash(), Status: outcome, ErrorMessage: failure,
	}
	a.mutex.Lock()
	a.status = status
	c := a.client
	a.mutex.Unlock()
	if c == nil {
		return
	}
	if err := c.SetRemoteConfigStatus(status); err != nil {
		a.emit("log", fields{"level": "error", "text": err.Error()})
		return
	}
	a.emit("status_sent", fields{
		"hash":    hex.EncodeToString(config.GetConfigHash()),
		"status":  strings.TrimPrefix(outcome.String(), "RemoteConfigStatuses_"),
		"message": failure,
	})
}

func (a *agent) sendEffective(ctx context.Context) {
	a.mutex.Lock()
	c := a.client
	a.mutex.Unlock()
	if c == nil {
		return
	}
	if err := c.UpdateEffectiveConfig(context.WithValue(ctx, ownUpdate{}, true)); err != nil {
		a.emit("log", fields{"level": "error", "text": err.Error()})
	}
}

func (a *agent) effectiveConfig(ctx context.Context) (*protobufs.EffectiveConfig, error) {
	a.mutex.Lock()
	first := !a.sentFirst
	a.sentFirst = true
	current := a.effective
	a.mutex.Unlock()
	if !first && ctx.Value(ownUpdate{}) == nil {
		a.emit("full_state_requested", nil)
	}
	if !a.options.effective {
		return nil, nil
	}
	if current == nil {
		current = &protobufs.AgentConfigMap{}
	}
	return &protobufs.EffectiveConfig{ConfigMap: current}, nil
}

func (a *agent) onConnectionOffer(_ context.Context, offer *protobufs.OpAMPConnectionSettings) error {
	headers := http.Header{}
	for _, header := range offer.GetHeaders().GetHeaders() {
		headers.Add(header.GetKey(), header.GetValue())
	}
	ca := offer.GetCertificate().GetCaCert()
	a.emit("connection_offer", fields{
		"endpoint":          offer.GetDestinationEndpoint(),
		"headers":           headers,
		"heartbeat_seconds": offer.GetHeartbeatIntervalSeconds(),
		"ca":                string(ca),
		"has_certificate":   len(offer.GetCertificate().GetCert()) > 0,
	})
	if !a.options.adopt {
		return nil
	}
	if err := a.adopt(offer.GetDestinationEndpoint(), headers, ca); err != nil {
		return err
	}
	// The client can't be stopped from inside its own callback.
	go func() {
		a.disconnect()
		if err := a.connect(); err != nil {
			a.emit("failed", fields{"message": err.Error()})
		}
	}()
	return nil
}

// adopt takes over what an offer names; headers are always replaced, as an offer is complete.
func (a *agent) adopt(endpoint string, headers http.Header, ca []byte) error {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if len(ca) > 0 && a.options.tls != nil {
		config := a.options.tls.Clone()
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(ca) {
			return errors.New("the offered authority is not a PEM certificate")
		}
		a.options.tls = config
	}
	if endpoint != "" {
		a.options.endpoint = endpoint
	}
	a.options.headers = headers
	return nil
}

func (a *agent) onTelemetryOffer(_ context.Context, offer *protobufs.ConnectionSettingsOffers) error {
	a.emit("telemetry_offer", fields{
		"hash":    hex.EncodeToString(offer.GetHash()),
		"metrics": offer.GetOwnMetrics().GetDestinationEndpoint(),
		"logs":    offer.GetOwnLogs().GetDestinationEndpoint(),
		"traces":  offer.GetOwnTraces().GetDestinationEndpoint(),
	})
	return nil
}
