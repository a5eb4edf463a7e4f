package front

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strings"

	"github.com/valyala/fasthttp"
)

// lock is what callers must have. The front knows the sum of the token alone: it compares that of what was sent, which
// takes as long wherever the first difference is.
type lock struct {
	locked bool
	sum    [sha256.Size]byte
}

// newLock makes the lock of a revision. A sum that is none opens for nobody.
func newLock(sum string) lock {
	l := lock{locked: sum != ""}
	if data, err := hex.DecodeString(sum); err == nil && len(data) == len(l.sum) {
		copy(l.sum[:], data)
	}
	return l
}

var headerAuthorization = []byte("Authorization")

// opens reports whether a request has the token: as the one Authorization of its header (RFC 6750, section 2.1).
func (l *lock) opens(h *fasthttp.RequestHeader) bool {
	if !l.locked {
		return true
	}
	given := h.PeekAll(string(headerAuthorization))
	if len(given) != 1 {
		return false
	}
	token, ok := bearer(string(given[0]))
	sum := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(sum[:], l.sum[:]) == 1 && ok
}

// bearer gives the token in an Authorization, whose scheme may be in any case, with spaces behind it (RFC 9110,
// sections 11.1 and 11.4).
func bearer(credentials string) (token string, ok bool) {
	scheme, token, ok := strings.Cut(credentials, " ")
	return strings.TrimLeft(token, " "), ok && strings.EqualFold(scheme, "Bearer")
}

// admit decides whether a caller may have an answer from a revision, says so if not, and reports whether it may.
// Whether the server is there and ready is said to everybody: the kubelet asks, which has no token.
func (f *front) admit(ctx *fasthttp.RequestCtx, r *revision) bool {
	if r == nil || r.lock.opens(&ctx.Request.Header) {
		return true
	}
	leads := r.route.leads(ctx)
	if path := string(ctx.Path()); !leads && (path == "/healthz" || path == "/readyz") {
		return true
	}
	if leads {
		f.metrics.answered(fasthttp.StatusUnauthorized)
	}
	ctx.Response.Header.Set("WWW-Authenticate", "Bearer")
	f.refuse(ctx, ctx.Time(), wrong(fasthttp.StatusUnauthorized, "this server asks for its token, as Authorization: "+
		"Bearer TOKEN; metaml token SERVER prints it, for those who may know it"))
	return false
}
