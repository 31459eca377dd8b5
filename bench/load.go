package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A server is the process of a variant.
type server struct {
	addr string
	cmd  *exec.Cmd
}

// start runs this program again, to serve the variant.
func start(name, app string) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), serveVariable+"="+name, appVariable+"="+app)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	s := &server{strings.TrimSpace(line), cmd}
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("%s did not start: %w", name, err)
	}
	return s, nil
}

func (s *server) stop() {
	_ = s.cmd.Process.Kill() // it may have ended
	_ = s.cmd.Wait()         // the error is that it was killed
}

// cpu returns the processor time that the process has taken, to a hundredth of a second.
func (s *server) cpu() (time.Duration, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(s.cmd.Process.Pid) + "/stat")
	if err != nil {
		return 0, fmt.Errorf("the processor time of a process can be read on Linux only: %w", err)
	}
	_, rest, _ := strings.Cut(string(text), ") ") // behind the name, which may contain spaces
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, errors.New("/proc/PID/stat has another form")
	}
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err1, err2)
}

// A measurement is the outcome of one round.
type measurement struct {
	perCPU   float64
	p50, p99 time.Duration
}

// load sends the variant's request over all connections, one after the other on each, until the time is up.
func load(s *server, v variant, clients int, length time.Duration) (measurement, error) {
	before, err := s.cpu()
	if err != nil {
		return measurement{}, err
	}
	var (
		mu     sync.Mutex
		times  []time.Duration
		faults error
		group  sync.WaitGroup
	)
	end := time.Now().Add(length)
	for range clients {
		group.Go(func() {
			mine, err := one(s.addr, v, end)
			mu.Lock()
			defer mu.Unlock()
			times, faults = append(times, mine...), errors.Join(faults, err)
		})
	}
	group.Wait()
	after, err := s.cpu()
	if err := errors.Join(faults, err); err != nil {
		return measurement{}, err
	}
	if len(times) == 0 {
		return measurement{}, errors.New("no request was answered in time")
	}
	slices.Sort(times)
	spent := max(after-before, 10*time.Millisecond)
	return measurement{float64(len(times)) / spent.Seconds(), times[len(times)/2], times[len(times)*99/100]}, nil
}

// one is a client with one connection. It reads no more of an answer than it must, so that most of the machine is left to the server.
func one(addr string, v variant, end time.Time) ([]time.Duration, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(end.Add(10 * time.Second)); err != nil {
		return nil, err
	}
	want, request, r := "HTTP/1.1 200 ", []byte(v.request), bufio.NewReader(conn)
	if v.name == "guard-denied" {
		want = "HTTP/1.1 401 "
	}
	var times []time.Duration
	for begin := time.Now(); begin.Before(end); {
		if _, err := conn.Write(request); err != nil {
			return nil, err
		}
		if err := answer(r, want); err != nil {
			return nil, err
		}
		now := time.Now()
		times, begin = append(times, now.Sub(begin)), now
	}
	return times, nil
}

// answer reads one answer, which must begin as wanted and tell its length.
func answer(r *bufio.Reader, want string) error {
	length := -1
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && !strings.HasPrefix(string(line), want) {
			return fmt.Errorf("the answer is %q, want %q", line, want)
		}
		if text, ok := strings.CutPrefix(string(line), "Content-Length: "); ok {
			if length, err = strconv.Atoi(strings.TrimSpace(text)); err != nil {
				return err
			}
		}
		if len(line) == 2 {
			break
		}
	}
	if length < 0 {
		return errors.New("the answer does not tell its length")
	}
	_, err := r.Discard(length)
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
