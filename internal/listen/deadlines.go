package listen

import (
	"bufio"
	"io"
	"io/fs"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

const (
	// chunk is what a slow client must take in one write time, in bytes.
	chunk = 128 << 10
	// buffered is what net/http holds back of an HTTP/1 answer before it sends the header, in bytes.
	buffered = 2048
)

// Deadlines cuts clients that stop, and only those: every read of the request body must get something within read, every
// write of the response must be taken within write. A stream that moves may last for ever, and so may a pause of the
// handler between two reads or writes. Zero or less turns a side off.
//
// It replaces http.Server's ReadTimeout and WriteTimeout, which must be zero: those count the whole request. A read that
// is cut returns an error that wraps os.ErrDeadlineExceeded, and over HTTP/1 ends the connection after the answer. A
// hijacked connection has no deadlines. A handler's own deadlines through http.ResponseController last until its next
// read or write.
func Deadlines(next http.Handler, read, write time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := newExchange(w, r, read, write)
		defer e.end()
		next.ServeHTTP(e, e.request(r))
	})
}

// exchange is one request with its answer: the ResponseWriter that the handler sees, and the state of both deadlines.
//
// After the handler has returned, and after a hijack, the connection is somebody else's: net/http interrupts its own
// background read by a deadline, which must not be moved. Hence over, and no deadline moves without mu.
type exchange struct {
	http.ResponseWriter
	control http.ResponseController
	h2      bool

	mu      sync.Mutex
	in, out side
	over    bool
	unread  bool // the body has not come to its end
	reading bool // a read of the body is under way
	duplex  bool // net/http leaves an unread body alone
	sent    int64
	headed  bool // HTTP/1: the header is on the wire, and net/http has read what it wants of an unread body
}

func newExchange(w http.ResponseWriter, r *http.Request, read, write time.Duration) *exchange {
	e := &exchange{ResponseWriter: w, control: *http.NewResponseController(w), h2: r.ProtoMajor >= 2}
	e.unread = r.Body != nil && r.Body != http.NoBody
	e.in = side{e: e, limit: read, reads: true}
	e.out = side{e: e, limit: write}
	return e
}

// request returns r with a body that moves the deadline. It is a copy, since net/http looks at the body of its own.
func (e *exchange) request(r *http.Request) *http.Request {
	if !e.unread || e.in.limit <= 0 {
		return r
	}
	with := new(http.Request)
	*with = *r
	with.Body = &body{ReadCloser: r.Body, e: e}
	return with
}

// side is the deadline of one direction.
//
// Over HTTP/1 it is a deadline of the connection, moved before each operation and harmless between two. Over HTTP/2 a
// deadline strikes when it is reached, whether anybody waits or not; so there it is a timer that runs during operations.
type side struct {
	e     *exchange
	limit time.Duration
	reads bool
	until time.Time
	timer *time.Timer // HTTP/2 only, made at the first use
	armed bool
}

var past = time.Unix(1, 0)

// begin must be called, with e.mu held, before an operation that may wait for the client, and for something else for the
// time of extra before.
func (s *side) begin(extra time.Duration) {
	if s.limit <= 0 || s.e.over {
		return
	}
	now := time.Now()
	if s.e.h2 {
		s.until, s.armed = now.Add(s.limit), true
		s.start()
		return
	}
	// Moving a deadline costs as much as a small write: within an eighth of the limit the old one will do.
	if s.until.Sub(now) < extra+s.limit-s.limit/8 {
		s.until = now.Add(extra + s.limit)
		s.set(s.until)
	}
}

// set can fail only if the connection is gone or the writer knows no deadlines: nothing to be done.
func (s *side) set(t time.Time) {
	if s.reads {
		_ = s.e.control.SetReadDeadline(t)
		return
	}
	_ = s.e.control.SetWriteDeadline(t)
}

// clear takes the deadline of an HTTP/1 connection away.
func (s *side) clear() {
	if s.limit > 0 && !s.e.h2 && !s.e.over {
		s.until = time.Time{}
		s.set(s.until)
	}
}

func (s *side) start() {
	if s.timer == nil {
		s.timer = time.AfterFunc(s.limit, s.strike)
		return
	}
	s.timer.Reset(s.limit)
}

// finish must be called, with e.mu held, after the operation.
func (s *side) finish() {
	s.armed = false
	if s.timer != nil {
		s.timer.Stop()
	}
}

// strike cuts the stream if the operation for which the timer was started still runs.
func (s *side) strike() {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	if s.armed && !s.e.over && !time.Now().Before(s.until) {
		s.set(past)
	}
}

// begin prepares for a write.
func (e *exchange) begin() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.beginAnswer()
}

// beginAnswer must be called with e.mu held. Before net/http sends the header of an HTTP/1 answer it reads the rest of
// the body: with a read deadline of long ago that would end the connection, with none it would wait for ever, and the
// write that it delays needs the more time.
func (e *exchange) beginAnswer() {
	if !e.unread || e.headed || e.duplex || e.h2 {
		e.out.begin(0)
		return
	}
	e.out.begin(max(0, e.in.limit))
	if !e.reading {
		e.in.begin(0)
	}
}

// finish notes that n bytes were written, or all that was held back is flushed. Once the header is out net/http may
// read in the background, as after the end of the body, and the read deadline goes.
func (e *exchange) finish(n int64, flushed bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.out.finish()
	e.sent += n
	if e.headed || !flushed && e.sent <= buffered {
		return
	}
	e.headed = true
	if e.unread && !e.reading {
		e.in.clear()
	}
}

// end leaves net/http the time to send what is buffered and to read what is left of the body. For HTTP/1 it puts its own
// deadlines in place of these afterwards; a stream of HTTP/2 takes its own away.
func (e *exchange) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		return
	}
	if e.h2 {
		e.in.finish()
		e.out.finish()
		if e.out.limit > 0 {
			e.out.set(time.Now().Add(e.out.limit))
		}
	} else {
		e.beginAnswer()
		e.endBody()
	}
	e.over = true
}

// endBody bounds the time in which net/http looks for the end of a body that is left after the answer is sent: until then
// it may read in the background, hence the sum.
func (e *exchange) endBody() {
	if e.unread && (e.headed || e.duplex) && e.in.limit > 0 {
		e.in.set(time.Now().Add(max(0, e.out.limit) + e.in.limit))
	}
}

// Write writes in pieces, so that a slow client that takes them is not cut because of a large p.
func (e *exchange) Write(p []byte) (n int, err error) {
	for len(p) > chunk {
		m, err := e.write(p[:chunk])
		n += m
		if err != nil {
			return n, err
		}
		p = p[chunk:]
	}
	m, err := e.write(p)
	return n + m, err
}

func (e *exchange) write(p []byte) (n int, err error) {
	e.begin()
	defer func() { e.finish(int64(n), false) }()
	return e.ResponseWriter.Write(p)
}

// WriteString is Write without a copy of s.
func (e *exchange) WriteString(s string) (n int, err error) {
	if len(s) > chunk {
		return e.Write([]byte(s))
	}
	e.begin()
	defer func() { e.finish(int64(n), false) }()
	return io.WriteString(e.ResponseWriter, s)
}

// WriteHeader may write at once: informational answers do.
func (e *exchange) WriteHeader(status int) {
	e.begin()
	defer e.finish(0, false)
	e.ResponseWriter.WriteHeader(status)
}

// FlushError sends what is buffered.
func (e *exchange) FlushError() error {
	e.begin()
	defer e.finish(0, true)
	return e.control.Flush()
}

// Flush sends what is buffered; see http.Flusher.
func (e *exchange) Flush() { _ = e.FlushError() }

// Unwrap is for http.ResponseController.
func (e *exchange) Unwrap() http.ResponseWriter { return e.ResponseWriter }

// EnableFullDuplex lets the handler read the body after it began to answer; see http.ResponseController. Over HTTP/1 the
// connection ends with the answer: net/http would keep it although the body was cut, and take the rest of the body for
// the next request.
func (e *exchange) EnableFullDuplex() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.duplex = true
	if e.unread && !e.h2 {
		e.Header().Set("Connection", "close")
	}
	return e.control.EnableFullDuplex()
}

// Hijack gives the connection away, without deadlines. HTTP/2 cannot: http.ErrNotSupported.
func (e *exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	conn, buffers, err := e.control.Hijack()
	if err != nil {
		return nil, nil, err
	}
	e.over = true
	return conn, buffers, conn.SetDeadline(time.Time{})
}

// ReadFrom sends a file by the kernel's means where there are some, piece by piece. Any other source is copied with
// Write: it may pause for longer than the write limit.
func (e *exchange) ReadFrom(src io.Reader) (int64, error) {
	to, ok := e.ResponseWriter.(io.ReaderFrom)
	if !ok || !regular(src) {
		return io.Copy(writerOnly{e}, src)
	}
	limited, ok := src.(*io.LimitedReader)
	if !ok {
		limited = &io.LimitedReader{R: src, N: 1<<63 - 1}
	}
	var total int64
	for limited.N > 0 {
		n, err := e.piece(to, limited)
		total += n
		if err != nil || n == 0 {
			return total, err
		}
	}
	return total, nil
}

// piece sends at most one chunk. It unwraps from, because the kernel's means are found behind one LimitedReader only.
func (e *exchange) piece(to io.ReaderFrom, from *io.LimitedReader) (int64, error) {
	e.begin()
	defer e.finish(0, true)
	n, err := to.ReadFrom(&io.LimitedReader{R: from.R, N: min(from.N, chunk)})
	from.N -= n
	return n, err
}

// regular reports whether src is a file that never makes a reader wait.
func regular(src io.Reader) bool {
	if l, ok := src.(*io.LimitedReader); ok {
		src = l.R
	}
	f, ok := src.(interface {
		syscall.Conn
		Stat() (fs.FileInfo, error)
	})
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular()
}

// writerOnly hides ReadFrom from io.Copy.
type writerOnly struct{ io.Writer }

// body is the request body that the handler sees.
type body struct {
	io.ReadCloser
	e   *exchange
	err error // of the last read; a body that was cut stays cut
}

// Read is cut if the client sends nothing for the read limit.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	b.e.beginRead()
	n, err := b.ReadCloser.Read(p)
	b.e.finishRead(err)
	b.err = err
	return n, err
}

// Close is cut like Read: net/http may read the rest of the body in it.
func (b *body) Close() error {
	b.e.beginRead()
	defer b.e.finishRead(io.EOF)
	return b.ReadCloser.Close()
}

func (e *exchange) beginRead() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.reading = true
	if e.unread {
		e.in.begin(0)
	}
	if !e.h2 {
		e.out.begin(0) // the first read may have to write 100 Continue
	}
}

// finishRead takes the read deadline away at the end of the body: from there on net/http reads in the background to
// notice when the client goes, and would take a deadline for that. After a failure it stays: there is nothing to read.
func (e *exchange) finishRead(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.reading = false
	e.in.finish()
	if err == nil || !e.unread {
		return
	}
	e.unread = false
	if err == io.EOF {
		e.in.clear()
	}
}
