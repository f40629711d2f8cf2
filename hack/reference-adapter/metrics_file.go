// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/metrics/pkg/apis/external_metrics"

	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider/defaults"
)

// fileMetric is one entry of --external-metrics-file. Times are epoch seconds.
type fileMetric struct {
	Namespace string            `json:"namespace"`
	Metric    string            `json:"metric"`
	Labels    map[string]string `json:"labels"`
	// Values in the order of From; the last one that has begun is the answer.
	Values []fileValue `json:"values"`
}

type fileValue struct {
	From          float64           `json:"from"`
	Timestamp     int64             `json:"timestamp"`
	WindowSeconds *int64            `json:"windowSeconds,omitempty"`
	Value         resource.Quantity `json:"value"`
}

// storedMetric is a fileMetric with its answers made.
type storedMetric struct {
	labels labels.Set
	values []storedValue
}

type storedValue struct {
	from   float64
	answer external_metrics.ExternalMetricValue
}

type metricKey struct{ namespace, metric string }

type labelKey struct {
	metricKey
	name, value string
}

// fileProvider serves external metrics from memory; metrics are found by namespace, name and any label that a selector
// asks for by value, so that a request does not cost more the more metrics there are. Discovery is the library's own.
type fileProvider struct {
	defaults.DefaultExternalMetricsProvider
	byMetric map[metricKey][]*storedMetric
	byLabel  map[labelKey][]*storedMetric
}

var _ provider.ExternalMetricsProvider = &fileProvider{}

// newFileProvider reads a JSON array of fileMetric.
func newFileProvider(path string) (*fileProvider, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--external-metrics-file: %w", err)
	}
	defer file.Close()
	decoder := json.NewDecoder(file)
	decoder.DisallowUnknownFields()
	var metrics []fileMetric
	if err := decoder.Decode(&metrics); err != nil {
		return nil, fmt.Errorf("--external-metrics-file: %s: want a JSON array of metrics: %w", path, err)
	}
	p := &fileProvider{byMetric: map[metricKey][]*storedMetric{}, byLabel: map[labelKey][]*storedMetric{}}
	for i, metric := range metrics {
		if metric.Namespace == "" || metric.Metric == "" || len(metric.Values) == 0 {
			return nil, fmt.Errorf("--external-metrics-file: %s: metric %d: want namespace, metric and values", path, i)
		}
		p.add(metric)
	}
	return p, nil
}

func (p *fileProvider) add(metric fileMetric) {
	stored := &storedMetric{labels: metric.Labels}
	for _, value := range metric.Values {
		stored.values = append(stored.values, storedValue{
			from: value.From,
			answer: external_metrics.ExternalMetricValue{
				MetricName:    metric.Metric,
				MetricLabels:  metric.Labels,
				Timestamp:     metav1.Unix(value.Timestamp, 0),
				WindowSeconds: value.WindowSeconds,
				Value:         value.Value,
			},
		})
	}
	key := metricKey{metric.Namespace, metric.Metric}
	p.byMetric[key] = append(p.byMetric[key], stored)
	for name, value := range metric.Labels {
		label := labelKey{key, name, value}
		p.byLabel[label] = append(p.byLabel[label], stored)
	}
}

// GetExternalMetric answers as the test adapter does: with all that the selector matches, which may be nothing.
func (p *fileProvider) GetExternalMetric(_ context.Context, namespace string, selector labels.Selector, info provider.ExternalMetricInfo) (*external_metrics.ExternalMetricValueList, error) {
	now := float64(time.Now().UnixNano()) / 1e9
	items := []external_metrics.ExternalMetricValue{}
	for _, metric := range p.candidates(metricKey{namespace, info.Metric}, selector) {
		if !selector.Matches(metric.labels) {
			continue
		}
		if answer, ok := metric.at(now); ok {
			items = append(items, answer)
		}
	}
	return &external_metrics.ExternalMetricValueList{Items: items}, nil
}

func (p *fileProvider) candidates(key metricKey, selector labels.Selector) []*storedMetric {
	requirements, _ := selector.Requirements()
	for _, requirement := range requirements {
		if value, exact := selector.RequiresExactMatch(requirement.Key()); exact {
			return p.byLabel[labelKey{key, requirement.Key(), value}]
		}
	}
	return p.byMetric[key]
}

func (m *storedMetric) at(now float64) (external_metrics.ExternalMetricValue, bool) {
	for i := len(m.values) - 1; i >= 0; i-- {
		if m.values[i].from <= now {
			return m.values[i].answer, true
		}
	}
	return external_metrics.ExternalMetricValue{}, false
}
