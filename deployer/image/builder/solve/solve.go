package solve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/containerd/platforms"
	"github.com/docker/cli/cli/config"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/auth/authprovider"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/tonistiigi/fsutil"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/metaml/metaml/deployer/image/builder"
)

// answerWithin is how long a builder may take to say who it is.
const answerWithin = 20 * time.Second

// Run fulfils a request, and says how far it is, and what came of it.
func Run(ctx context.Context, request builder.Request, say func(builder.Answer)) {
	c, probed, err := open(ctx, request.Address)
	if err != nil {
		say(builder.Answer{Failed: &builder.Failure{Message: err.Error(), Unreachable: true}})
		return
	}
	defer func() { _ = c.Close() }() // all was said
	if request.Build == nil {
		say(builder.Answer{Probe: probed})
		return
	}
	built, failed := build(ctx, c, request.Build, func(s builder.Step) { say(builder.Answer{Step: &s}) })
	say(builder.Answer{Built: built, Failed: failed})
}

// open connects to a builder that answers.
func open(ctx context.Context, to builder.Address) (*client.Client, *builder.Probed, error) {
	ctx, stop := context.WithTimeoutCause(ctx, answerWithin, fmt.Errorf("nothing within %s", answerWithin))
	defer stop()
	c, err := connect(ctx, to)
	if err != nil {
		return nil, nil, err
	}
	workers, err := c.ListWorkers(ctx)
	if err == nil && len(workers) == 0 {
		err = errors.New("it has no worker")
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, nil, errors.Join(err, c.Close())
	}
	probed := &builder.Probed{Version: workers[0].BuildkitVersion.Version}
	for _, p := range workers[0].Platforms {
		probed.Platforms = append(probed.Platforms, platforms.Format(p))
	}
	return c, probed, nil
}

func build(
	ctx context.Context, c *client.Client, b *builder.Build, step func(builder.Step),
) (*builder.Built, *builder.Failure) {
	g, err := newGraph(b)
	if err != nil {
		return nil, &builder.Failure{Message: err.Error()}
	}
	folder, err := fsutil.NewFS(filepath.Dir(b.UV))
	if err != nil {
		return nil, &builder.Failure{Message: err.Error()}
	}
	hidden := map[string][]byte{}
	for key, value := range b.Variables {
		hidden[key] = []byte(value)
	}
	maps.Copy(hidden, b.Secrets)
	registries := authprovider.NewDockerAuthProvider(authprovider.DockerAuthProviderConfig{
		AuthConfigProvider: authprovider.LoadAuthConfig(config.LoadDefaultConfigFile(io.Discard)),
	})
	options := client.SolveOpt{
		LocalMounts:   map[string]fsutil.FS{localUV: folder},
		Session:       []session.Attachable{registries, secretsprovider.FromMap(hidden)},
		FrontendAttrs: map[string]string{},
		Exports:       []client.ExportEntry{exported(b)},
	}
	var lock []byte
	watch := newWatcher(step)
	// The client writes into the channel and waits for a reader, so it is read to its end whatever happens.
	updates, drained := make(chan *client.SolveStatus), make(chan struct{})
	go func() {
		defer close(drained)
		watch.follow(updates)
	}()
	steps := func(ctx context.Context, c gateway.Client) (*gateway.Result, error) {
		resolved, err := solved(ctx, c, g.resolved(b.Bound))
		if err != nil && len(b.Bound) > 0 && ctx.Err() == nil {
			resolved, err = solved(ctx, c, g.resolved(nil))
		}
		if err != nil {
			return nil, err
		}
		if lock, err = resolved.ReadFile(ctx, gateway.ReadRequest{Filename: "/" + b.Lock}); err != nil {
			return nil, fmt.Errorf("read the lock file: %w", err)
		}
		lock = logins.ReplaceAll(lock, []byte("://")) // uv has them as secrets
		environment, err := solved(ctx, c, g.environment(lock))
		if err != nil {
			return nil, err
		}
		result := gateway.NewResult()
		result.SetRef(environment)
		result.AddMeta(exptypes.ExporterImageConfigKey, b.Config)
		result.AddMeta(exptypes.ExporterImageBaseConfigKey, b.BaseConfig)
		return result, nil
	}
	response, err := c.Build(ctx, options, "metaml", steps, updates)
	<-drained
	if err != nil {
		return nil, watch.failure(err)
	}
	return &builder.Built{Digest: response.ExporterResponse[exptypes.ExporterImageDigestKey], Lock: lock}, nil
}

// logins are those in addresses.
var logins = regexp.MustCompile(`://[^/@\s"']+@`)

// solved is a state that the builder has made.
func solved(ctx context.Context, c gateway.Client, state llb.State) (gateway.Reference, error) {
	definition, err := state.Marshal(ctx)
	if err != nil {
		return nil, fmt.Errorf("describe what is to be done: %w", err)
	}
	result, err := c.Solve(ctx, gateway.SolveRequest{Definition: definition.ToPB(), Evaluate: true})
	if err != nil {
		return nil, err
	}
	return result.SingleRef()
}

// exported says where the image goes. No time in it is another than the first.
func exported(b *builder.Build) client.ExportEntry {
	attrs := map[string]string{
		string(exptypes.OptKeyOCITypes): "true", string(exptypes.OptKeyLayerCompression): "gzip",
		string(exptypes.OptKeySourceDateEpoch): "0", string(exptypes.OptKeyRewriteTimestamp): "true",
	}
	if b.Zstd {
		attrs[string(exptypes.OptKeyLayerCompression)] = "zstd"
	}
	if b.Tree != "" {
		return client.ExportEntry{Type: client.ExporterTar, Output: func(map[string]string) (io.WriteCloser, error) {
			return os.Create(b.Tree)
		}}
	}
	if b.Target == "" {
		attrs["tar"] = "false"
		return client.ExportEntry{Type: client.ExporterOCI, Attrs: attrs, OutputDir: b.Folder}
	}
	attrs[string(exptypes.OptKeyName)] = b.Target
	attrs[string(exptypes.OptKeyPush)], attrs[string(exptypes.OptKeyPushByDigest)] = "true", "true"
	if b.Plain {
		attrs[string(exptypes.OptKeyInsecure)] = "true"
	}
	return client.ExportEntry{Type: client.ExporterImage, Attrs: attrs}
}

// gone reports whether an error says that the builder is not there any more.
func gone(err error) bool {
	if status.Code(err) == codes.Unavailable || errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	text := err.Error()
	for _, part := range []string{
		"code = Unavailable", "transport is closing", "error reading from server", "no active session",
	} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}
