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
	err := request(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotFirstResponseByte: func() {
		w.mu.Lock()
		w.heard = w.heard || ctx.Err() == nil // a server may answer that the connection is closed by us
		w.mu.Unlock()
	}}))
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

const (
	quiet      = 15 * time.Second // how long nothing may be heard before it is asked whether the cluster answers
	loginAgain = 15 * time.Second // how often a login is tried that does not work, which may open a browser
)

// link is the connection of a follower to the cluster: a watch of which nothing is heard may be of a cluster where
// nothing happens, or of a connection that went with the network that this machine was in before it slept.
type link struct {
	way              // of the questions whether it answers
	pulse  time.Time // when something was heard last
	pinged time.Time // when it was asked last
	lost   bool      // it did not answer since the informers were started
}

// check asks the cluster whether it is there, if nothing was heard for long or something is wrong. Where it does not
// answer, it is asked once more in a new connection, with the login that the kubeconfig has by now. renewed says that
// the informers are to be started anew.
func (m *mirror) check(ctx context.Context, wrong error) (renewed bool) {
	l, now := &m.link, time.Now()
	if wrong == nil {
		wrong = l.trouble(true)
	}
	if wrong == nil && now.Sub(l.pulse) < quiet || cluster.IsLogin(m.cluster.Explain(wrong, "")) &&
		now.Sub(l.pinged) < loginAgain {
		return false
	}
	l.pinged = now
	if m.ping(ctx, m.cluster) == nil {
		renewed, l.lost = l.lost, false
		return renewed
	}
	l.lost = true
	c, err := cluster.Find(m.cluster.Pin)
	if err != nil || m.ping(ctx, c) != nil {
		return false // what is wrong is said
	}
	m.cluster, l.lost = c, false
	return true
}

// ping asks for the run's owner. It is well whatever the answer is.
func (m *mirror) ping(ctx context.Context, c *cluster.Cluster) error {
	ctx, cancel := context.WithTimeout(ctx, cluster.Patience)
	defer cancel()
	return m.link.try(ctx, func(ctx context.Context) error {
		_, err := c.Core.ConfigMaps(c.Namespace).Get(ctx, m.name, metav1.GetOptions{})
		if err == nil || apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
			m.link.pulse = time.Now()
			return nil
		}
		return err
	})
}
