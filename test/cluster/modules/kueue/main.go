// Command kueue is Kueue's controllers for Jobs, its scheduler and its admission webhooks for them, in one process
// outside the cluster. Kueue's own program wants certificates at fixed paths and a Service that leads to it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	configapi "sigs.k8s.io/kueue/apis/config/v1beta2"
	kueuev1beta1 "sigs.k8s.io/kueue/apis/kueue/v1beta1"
	kueue "sigs.k8s.io/kueue/apis/kueue/v1beta2"
	qcache "sigs.k8s.io/kueue/pkg/cache/queue"
	schdcache "sigs.k8s.io/kueue/pkg/cache/scheduler"
	"sigs.k8s.io/kueue/pkg/constants"
	"sigs.k8s.io/kueue/pkg/controller/core"
	"sigs.k8s.io/kueue/pkg/controller/core/indexer"
	"sigs.k8s.io/kueue/pkg/controller/jobframework"
	"sigs.k8s.io/kueue/pkg/controller/jobs/job"
	tasindexer "sigs.k8s.io/kueue/pkg/controller/tas/indexer"
	"sigs.k8s.io/kueue/pkg/metrics"
	"sigs.k8s.io/kueue/pkg/scheduler"
	preemptexpectations "sigs.k8s.io/kueue/pkg/scheduler/preemption/expectations"
	"sigs.k8s.io/kueue/pkg/webhooks"
)

func main() {
	certificate := flag.String("certificate", "", "file of the webhooks' certificate; its key is beside it, as .key")
	port := flag.Int("port", 9443, "port of the webhooks, on 127.0.0.1")
	flag.Parse() // --kubeconfig is controller-runtime's
	ctrl.SetLogger(zap.New())
	if err := run(ctrl.SetupSignalHandler(), *certificate, *port); err != nil {
		fmt.Fprintln(os.Stderr, "kueue:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, certificate string, port int) error {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, kueue.AddToScheme, kueuev1beta1.AddToScheme, configapi.AddToScheme,
	} {
		utilruntime.Must(add(scheme))
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	name := strings.TrimSuffix(filepath.Base(certificate), ".crt")
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"},
		WebhookServer: webhook.NewServer(webhook.Options{
			Host: "127.0.0.1", Port: port,
			CertDir: filepath.Dir(certificate), CertName: name + ".crt", KeyName: name + ".key",
		}),
	})
	if err != nil {
		return err
	}
	if err := setUp(ctx, mgr); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

// setUp does what Kueue's own program does, for Jobs alone and with its defaults.
func setUp(ctx context.Context, mgr ctrl.Manager) error {
	defaults := &configapi.Configuration{}
	mgr.GetScheme().Default(defaults)
	metrics.Register()
	cache := schdcache.New(mgr.GetClient())
	requeuer := qcache.NewRequeuer()
	if err := mgr.Add(requeuer); err != nil {
		return err
	}
	expected := preemptexpectations.New()
	queues := qcache.NewManager(mgr.GetClient(), cache, requeuer, qcache.WithPreemptionExpectations(expected))
	indexes := mgr.GetFieldIndexer()
	for _, index := range []func() error{
		func() error { return indexer.Setup(ctx, indexes) },
		func() error { return tasindexer.SetupIndexes(ctx, indexes) },
		func() error { return job.SetupIndexes(ctx, indexes) },
	} {
		if err := index(); err != nil {
			return err
		}
	}
	if name, err := core.SetupControllers(mgr, queues, cache, defaults, nil, expected, nil); err != nil {
		return fmt.Errorf("controller of %s: %w", name, err)
	}
	options := []jobframework.Option{
		jobframework.WithManagerName(constants.KueueName),
		jobframework.WithCache(cache), jobframework.WithQueues(queues),
	}
	jobs, err := job.NewReconciler(ctx, mgr.GetClient(), indexes,
		mgr.GetEventRecorderFor(constants.JobControllerName), options...)
	if err != nil {
		return err
	}
	if err := jobs.SetupWithManager(mgr); err != nil {
		return err
	}
	if err := job.SetupWebhook(mgr, options...); err != nil {
		return err
	}
	if name, err := webhooks.Setup(mgr, nil); err != nil {
		return fmt.Errorf("webhook of %s: %w", name, err)
	}
	jobframework.EnableIntegration(job.FrameworkName)
	go queues.CleanUpOnContext(ctx)
	go cache.CleanUpOnContext(ctx)
	return mgr.Add(scheduler.New(queues, cache, mgr.GetClient(), mgr.GetEventRecorderFor(constants.AdmissionName),
		scheduler.WithPreemptionExpectations(expected)))
}
