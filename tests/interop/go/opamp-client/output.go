package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"
)

// fields are what an event tells besides its name, time and agent.
type fields map[string]any

var output sync.Mutex

// emit prints one event as one line. Number -1 stands for the process itself.
func emit(number int, uid, event string, more fields) {
	line := fields{"event": event, "agent": number, "uid": uid, "at_ms": time.Now().UnixMilli()}
	for name, value := range more {
		line[name] = value
	}
	text, err := json.Marshal(line)
	if err != nil {
		text = fmt.Appendf(nil, `{"event":"failed","agent":%d,"message":%q}`, number, err.Error())
	}
	output.Lock()
	defer output.Unlock()
	_, _ = os.Stdout.Write(append(text, '\n'))
}

// clientLog turns the log of the OpAMP client into events: dropped reports are visible nowhere else.
type clientLog struct{ agent *agent }

func (l clientLog) Debugf(_ context.Context, format string, values ...any) {
	if l.agent.options.verbose {
		l.print("debug", format, values)
	}
}

func (l clientLog) Errorf(_ context.Context, format string, values ...any) {
	l.print("error", format, values)
}

func (l clientLog) print(level, format string, values []any) {
	emit(l.agent.number, l.agent.identity(), "log", fields{"level": level, "text": fmt.Sprintf(format, values...)})
}
