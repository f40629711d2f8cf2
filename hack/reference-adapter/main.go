// SPDX-License-Identifier: Apache-2.0

// Command reference-adapter is the test adapter of sigs.k8s.io/custom-metrics-apiserver (test-adapter/main.go) with its
// provider of external metrics as it is, but without the plain HTTP endpoint for writing custom metrics: that one is
// always on port 8080, on every address, so that two runs on a machine could not overlap. With --external-metrics-file
// it answers from that file instead of the three external metrics that are built into the test adapter.
package main

import (
	"context"
	"os"

	"k8s.io/component-base/logs"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/klog/v2"

	"sigs.k8s.io/custom-metrics-apiserver/pkg/apiserver/metrics"
	basecmd "sigs.k8s.io/custom-metrics-apiserver/pkg/cmd"
	fakeprov "sigs.k8s.io/custom-metrics-apiserver/test-adapter/provider"
)

func main() {
	logs.InitLogs()
	defer logs.FlushLogs()

	adapter := &basecmd.AdapterBase{Name: "test-adapter"}
	metricsFile := adapter.Flags().String("external-metrics-file", "", "serve the external metrics of this JSON file")
	logs.AddFlags(adapter.Flags())
	if err := adapter.Flags().Parse(os.Args); err != nil {
		klog.Fatalf("unable to parse flags: %v", err)
	}
	client, err := adapter.DynamicClient()
	if err != nil {
		klog.Fatalf("unable to construct dynamic client: %v", err)
	}
	mapper, err := adapter.RESTMapper()
	if err != nil {
		klog.Fatalf("unable to construct discovery REST mapper: %v", err)
	}
	provider, _ := fakeprov.NewFakeProvider(client, mapper)
	adapter.WithExternalMetrics(provider)
	if *metricsFile != "" {
		fromFile, err := newFileProvider(*metricsFile)
		if err != nil {
			klog.Fatal(err)
		}
		adapter.WithExternalMetrics(fromFile)
	}
	if err := metrics.RegisterMetrics(legacyregistry.Register); err != nil {
		klog.Fatalf("unable to register metrics: %v", err)
	}
	if err := adapter.Run(context.Background()); err != nil {
		klog.Fatalf("unable to run the adapter: %v", err)
	}
}
