package mirror

import (
	"context"
	"errors"
	"net/http/httptrace"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/metaml/metaml/deployer/kube/cluster"
)

// way is how requests of one kind to the cluster fare. Informers tell only some of what goes wrong, and nothing while
// client-go tries a request again by itself.
type way struct {
	changed func() // it fares otherwise than before

	mu    sync.Mutex
	err   error     // of the last request; nil: it went well
	since time.Time // when requests began to fail
	asked time.Time // when the request was sent that is not done yet; the zero value: there is none
	heard bool      // something came back for it
}

// try sends a request and notes how it fares.
func (w *way) try(ctx context.Context, request func(context.Context) error) error {
	w.mu.Lock()
	w.asked, w.heard = time.Now(), false
	w.mu.Unlock()
	late := false
	err := request(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotFirstResponseByte: func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if ctx.Err() != nil { // a server may answer that the connection is closed by us
			late = true
			return
		}
		w.heard = true
	}}))
	w.mu.Lock()
	if late && err != nil {
		err = ctx.Err() // what is wrong is that it came too late, not what it was
	}
	w.mu.Unlock()
	w.done(err)
	return err
}

// errBusy stands for answers by which client-go waits and tries again: it does not say which they were.
var errBusy = apierrors.NewTooManyRequestsError("it asks to come back later")

func (w *way) done(err error) {
	w.mu.Lock()
	switch {
	case errors.Is(err, context.Canceled), apierrors.IsResourceExpired(err), apierrors.IsGone(err):
		err = nil // what is too old is listed anew
	case w.heard && errors.Is(err, context.DeadlineExceeded):
		err = errBusy
	}
	was := w.err != nil
	if !was {
		w.since = w.asked
	}
	w.err, w.asked = err, time.Time{}
	w.mu.Unlock()
	if was != (err != nil) {
		w.changed()
	}
}

// trouble is what has been wrong for some time, or nil; with atOnce, what is wrong now. A request that nothing comes
// back for is no trouble: there are proxies that hold back the beginning of a watch until something happens.
func (w *way) trouble(atOnce bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.err != nil && (atOnce || time.Since(w.since) > cluster.Patience):
		return w.err
	case w.err == nil && w.heard && !w.asked.IsZero() && time.Since(w.asked) > cluster.Patience:
		return errBusy
	}
	return nil
}

// quiet is how long nothing may be heard before it is asked whether the cluster answers.
const quiet = 15 * time.Second

// link is the connection of a follower to the cluster: a watch of which nothing is heard may be of a cluster where
// nothing happens, or of a connection that went with the network that this machine was in before it slept.
type link struct {
	way              // of the questions whether it answers
	pulse  time.Time // when something was heard last
	lost   bool      // it did not answer since the informers were started
	files  string    // [cluster.Cluster.LoginFiles] when it was made
	logins logins
}

// check asks the cluster whether it is there, if nothing was heard for long or something is wrong. Where it does not
// answer, it is asked once more in a new connection. renewed says that the informers are to be started anew.
func (m *mirror) check(ctx context.Context, wrong error) (renewed bool) {
	l := &m.link
	if m.cluster.LoggingIn() {
		l.logins.waits(time.Now().Round(0))
		return false
	}
	if refused := m.cluster.Shut(); refused != nil {
		return m.logIn(ctx, refused)
	}
	l.logins = logins{}
	if wrong == nil {
		wrong = l.trouble(true)
	}
	if wrong == nil && time.Since(l.pulse) < quiet {
		return false
	}
	if m.ping(ctx) == nil {
		renewed, l.lost = l.lost, false
		return renewed
	}
	l.lost = true
	if m.cluster.Shut() != nil || m.cluster.LoggingIn() || m.connect() != nil || m.ping(ctx) != nil {
		return false // what is wrong is said
	}
	l.lost = false
	return true
}

// logIn tries the login that did not work, when it is time for that. Nothing else is sent meanwhile.
func (m *mirror) logIn(ctx context.Context, refused error) (renewed bool) {
	l := &m.link
	var (
		now   = time.Now().Round(0) // without the monotonic clock, which stands still while this machine sleeps
		files = m.cluster.LoginFiles()
		asked = m.folder.Asked()
	)
	if l.lost = true; l.logins.next.IsZero() {
		l.logins.begin(now, files, asked, apierrors.IsUnauthorized(refused))
		l.note(ctx, refused)
	}
	if l.logins.looks(now) {
		// A login may need the network, too: while there is none, it is not tried.
		err := m.cluster.Answers(ctx)
		l.logins.answered(now, err == nil)
		if err != nil {
			l.note(ctx, err)
		}
	}
	if !l.logins.due(now, files, asked) {
		return false
	}
	if files != l.files {
		if err := m.connect(); err != nil {
			l.note(ctx, err)
		}
	}
	if m.ping(ctx) == nil {
		l.lost = false
		return true
	}
	l.logins.failed(now, m.cluster.LoginFiles(), m.cluster.LoginDisturbs())
	return false
}

// connect makes another connection to the cluster, with the login that the kubeconfig has by now.
func (m *mirror) connect() error {
	c, err := cluster.Find(m.cluster.Pin)
	if err != nil {
		return err
	}
	m.use(c)
	return nil
}

// use has the cluster asked in a connection from now on.
func (m *mirror) use(c *cluster.Cluster) {
	c.Guard(m.wake)
	m.inUse.Lock()
	m.cluster = c
	m.inUse.Unlock()
	m.link.files = c.LoginFiles()
}

// note notes how it fares without a request.
func (l *link) note(ctx context.Context, err error) {
	_ = l.try(ctx, func(context.Context) error { return err })
}

// ping asks for the run's owner. It is well whatever the answer is.
func (m *mirror) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(cluster.Try(ctx), cluster.Patience)
	defer cancel()
	return m.link.try(ctx, func(ctx context.Context) error {
		_, err := m.cluster.Core.ConfigMaps(m.cluster.Namespace).Get(ctx, m.name, metav1.GetOptions{})
		if err == nil || apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
			m.link.pulse = time.Now()
			return nil
		}
		return err
	})
}
