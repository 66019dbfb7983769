package local

import (
	"bytes"
	"io"
	"sync"

	"github.com/pulumi/pulumi-go-provider/infer"
)

// Logging says which output streams are shown while the command runs. They
// are kept as outputs of the resource in any case.
type Logging string

// The values of Logging; both streams is the default.
const (
	Stdout Logging = "stdout"
	Stderr Logging = "stderr"
	Both   Logging = "stdoutAndStderr"
	None   Logging = "none"
)

// Values lists them for the schema.
func (Logging) Values() []infer.EnumValue[Logging] {
	values := make([]infer.EnumValue[Logging], 0, 4)
	for _, value := range []Logging{Stdout, Stderr, Both, None} {
		values = append(values, infer.EnumValue[Logging]{Name: string(value), Value: value})
	}
	return values
}

func (l *Logging) has(stream Logging) bool {
	return l == nil || *l == Both || *l == stream
}

// lineWriter shows whole lines: the engine prefixes each message with the
// resource's name.
type lineWriter struct {
	show    func(string)
	pending []byte
}

func (w *lineWriter) Write(data []byte) (int, error) {
	w.pending = append(w.pending, data...)
	for {
		line, rest, found := bytes.Cut(w.pending, []byte("\n"))
		if !found {
			return len(data), nil
		}
		w.show(string(line))
		w.pending = rest
	}
}

func (w *lineWriter) flush() {
	if len(w.pending) > 0 {
		w.show(string(w.pending))
		w.pending = nil
	}
}

func (w *lineWriter) orNothing(wanted bool) io.Writer {
	if wanted {
		return w
	}
	return io.Discard
}

// synchronized takes writes of both streams, each of which has its own
// goroutine, in the order in which they come.
type synchronized struct {
	mutex  sync.Mutex
	buffer bytes.Buffer
}

func (s *synchronized) Write(data []byte) (int, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.buffer.Write(data)
}

func (s *synchronized) String() string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.buffer.String()
}
