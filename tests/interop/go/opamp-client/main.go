// A small OpAMP agent around the published opamp-go client. It does what its flags and the lines on its standard
// input say, and prints one JSON object per event on its standard output, so that tests can assert on data.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"
)

// options are the flags, parsed. Agents only read them.
type options struct {
	endpoint     string
	headers      http.Header
	tls          *tls.Config
	name         string
	attributes   map[string]string
	capabilities uint64
	interval     *time.Duration
	gzip         bool
	failOn       string
	failWith     string
	goesBack     bool
	applyDelay   time.Duration
	appliedHash  []byte
	effective    bool
	components   bool
	adopt        bool
	verbose      bool
}

// pairs is a repeatable flag of the form KEY=VALUE.
type pairs [][2]string

func (p *pairs) String() string { return fmt.Sprint(*p) }

func (p *pairs) Set(text string) error {
	key, value, found := strings.Cut(text, "=")
	if !found || key == "" {
		return errors.New("expected KEY=VALUE")
	}
	*p = append(*p, [2]string{key, value})
	return nil
}

func main() {
	if err := run(); err != nil {
		emit(-1, "", "failed", fields{"message": err.Error()})
		os.Exit(1)
	}
}

func run() error {
	var o options
	var headers, attributes pairs
	flag.StringVar(&o.endpoint, "endpoint", "", "ws, wss, http or https URL of the server (required)")
	flag.Var(&headers, "header", "request header KEY=VALUE, repeatable")
	flag.Var(&attributes, "attr", "non-identifying attribute KEY=VALUE, repeatable; {i} is the agent's number")
	flag.StringVar(&o.name, "name", "interop", "service.name")
	flag.BoolVar(&o.gzip, "gzip", false, "compress what is sent")
	flag.StringVar(&o.failOn, "fail-on", "", "report configs that contain this text as FAILED")
	flag.StringVar(&o.failWith, "fail-with", "", "the reason to give for it, instead of naming the text")
	flag.BoolVar(&o.goesBack, "goes-back", false, "a second after a config that failed, report the one before as APPLIED again")
	flag.BoolVar(&o.effective, "effective", false, "report the applied config as the effective config")
	flag.BoolVar(&o.components, "components", false, "report available components")
	flag.BoolVar(&o.adopt, "adopt-offers", false, "reconnect with the OpAMP connection settings that are offered")
	flag.BoolVar(&o.verbose, "verbose", false, "print the client's debug lines as log events too")
	ca := flag.String("ca", "", "PEM file with the only authorities to trust")
	cert := flag.String("cert", "", "PEM file with the client's certificate")
	key := flag.String("key", "", "PEM file with the client certificate's key")
	uid := flag.String("uid", "", "instance uid as a UUID; random when empty; further agents count up from it")
	mask := flag.String("capabilities", "", "capability mask in hex; 0xbd07 when empty, with --components 0xfd07")
	heartbeat := flag.Float64("heartbeat", -1, "heartbeat interval in seconds; 0 sends none")
	poll := flag.Float64("poll", -1, "polling interval over HTTP, in seconds")
	delay := flag.Float64("apply-delay", 0, "seconds between APPLYING and the result")
	applied := flag.String("applied-hash", "", "start as an agent that has applied the config with this hash (hex)")
	count := flag.Int("count", 1, "number of agents in this process")
	stopOnEOF := flag.Bool("stop-on-eof", false, "stop when the standard input ends")
	flag.Parse()

	target, err := url.Parse(o.endpoint)
	if err != nil || target.Host == "" {
		return errors.New("--endpoint needs a ws, wss, http or https URL")
	}
	o.headers = http.Header{}
	for _, pair := range headers {
		o.headers.Add(pair[0], pair[1])
	}
	o.attributes = map[string]string{}
	for _, pair := range attributes {
		o.attributes[pair[0]] = pair[1]
	}
	if target.Scheme == "wss" || target.Scheme == "https" {
		if o.tls, err = tlsConfig(*ca, *cert, *key); err != nil {
			return err
		}
	}
	if o.capabilities, err = capabilityMask(*mask, o.components); err != nil {
		return err
	}
	if seconds := max(*heartbeat, *poll); seconds >= 0 {
		interval := time.Duration(seconds * float64(time.Second))
		o.interval = &interval
	}
	o.applyDelay = time.Duration(*delay * float64(time.Second))
	if o.appliedHash, err = hex.DecodeString(*applied); err != nil {
		return fmt.Errorf("--applied-hash: %w", err)
	}

	agents := make([]*agent, *count)
	for i := range agents {
		identity, err := instanceUID(*uid, i)
		if err != nil {
			return err
		}
		agents[i] = newAgent(i, identity, o)
		if err := agents[i].connect(); err != nil {
			return err
		}
	}
	defer stop(agents)

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	quit := make(chan struct{})
	go func() {
		if obey(agents) || *stopOnEOF {
			close(quit)
		}
	}()
	select {
	case <-signals:
	case <-quit:
	}
	return nil
}

// obey carries out the lines on the standard input. True: one of them was "quit". False: the input has ended.
func obey(agents []*agent) bool {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "quit" {
			return true
		}
		addressed := agents
		if number, rest, found := strings.Cut(line, " "); found && strings.HasPrefix(number, "#") {
			i, err := strconv.Atoi(number[1:])
			if err != nil || i < 0 || i >= len(agents) {
				emit(-1, "", "bad_command", fields{"line": line, "message": "no such agent"})
				continue
			}
			addressed, line = agents[i:i+1], rest
		}
		for _, a := range addressed {
			if err := a.obey(line); err != nil {
				emit(a.number, a.identity(), "bad_command", fields{"line": line, "message": err.Error()})
			}
		}
	}
	return false
}

// stop ends all agents at the same time: each may wait some seconds for the server's answer to its Close.
func stop(agents []*agent) {
	var all sync.WaitGroup
	for _, a := range agents {
		all.Go(a.disconnect)
	}
	all.Wait()
}

func tlsConfig(ca, cert, key string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("no certificate in %s", ca)
		}
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

func capabilityMask(text string, components bool) (uint64, error) {
	if text == "" && components {
		return defaultCapabilities | reportsComponents, nil
	}
	if text == "" {
		return defaultCapabilities, nil
	}
	return strconv.ParseUint(strings.TrimPrefix(text, "0x"), 16, 64)
}

func instanceUID(base string, i int) (uuid.UUID, error) {
	if base == "" {
		return uuid.NewV7()
	}
	uid, err := uuid.Parse(base)
	for at, carry := len(uid)-1, i; err == nil && at >= 0 && carry > 0; at-- {
		carry += int(uid[at])
		uid[at] = byte(carry)
		carry >>= 8
	}
	return uid, err
}
