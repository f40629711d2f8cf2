// SPDX-License-Identifier: Apache-2.0
import { forecastLabel, metricNames } from '../../api/labels.ts';
import type { DemandForecast } from '../../api/v1alpha1/demand-forecast.ts';
import { findHpa, pinnedForecast, selects } from '../../capacity/hpa.ts';
import { finding, notRead } from '../finding.ts';
import type { Finding } from '../finding.ts';
import { keyOf } from '../snapshot.ts';
import type { Hpa, Snapshot } from '../snapshot.ts';

const names: readonly string[] = metricNames;

type External = NonNullable<NonNullable<Hpa['spec']['metrics']>[number]['external']>;

/** HPAs that read Headstart's metrics, and for each forecast the HPA that reads it. */
export function checkHpas(snapshot: Snapshot): Finding[] {
  const { hpas, forecasts } = snapshot;
  if ('failure' in hpas) return [notRead('hpa', hpas.failure)];
  if ('failure' in forecasts || forecasts.value === undefined) return [];
  const known = forecasts.value;
  return [
    ...hpas.value.flatMap((hpa) => judgeReader(hpa, known)),
    ...severalOnOneTarget(hpas.value, known),
    ...known.flatMap((forecast) => judgeForecast(forecast, hpas.value)),
  ];
}

/** HPAs that read external metrics of others, each with one of them. */
export function foreignMetrics({ hpas }: Snapshot): string[] {
  if ('failure' in hpas) return [];
  return hpas.value.flatMap((hpa) => {
    const [other] = externals(hpa).filter(({ metric }) => !names.includes(metric.name));
    return other === undefined ? [] : [`${keyOf(hpa)} (${other.metric.name})`];
  });
}

function externals({ spec }: Hpa): External[] {
  return (spec.metrics ?? []).flatMap(({ type, external }) =>
    type === 'External' && external !== undefined ? [external] : [],
  );
}

function judgeReader(hpa: Hpa, forecasts: readonly DemandForecast[]): Finding[] {
  const own = externals(hpa).filter(({ metric }) => names.includes(metric.name));
  if (own.length === 0) return [];
  const { namespace = '', name } = hpa.metadata;
  const object = { kind: 'HorizontalPodAutoscaler', namespace, name };
  const inNamespace = forecasts.filter(({ metadata }) => metadata.namespace === namespace);
  const problems = own.flatMap((external) => judgeExternal(hpa, external, inNamespace));
  const inactive = judgeScaling(hpa);
  if (problems.length + inactive.length > 0) return [...problems, ...inactive];
  const message = `HPA ${name} reads ${own.map(({ metric }) => metric.name).join(' and ')} with target type AverageValue and a selector that names one forecast`;
  return [finding('hpa', 'Reads', { message, object })];
}

function judgeExternal(hpa: Hpa, { metric, target }: External, forecasts: readonly DemandForecast[]): Finding[] {
  const { namespace = '', name } = hpa.metadata;
  const object = { kind: 'HorizontalPodAutoscaler', namespace, name };
  const findings: Finding[] = [];
  if (target.type !== 'AverageValue') {
    const message = `HPA ${name} reads ${metric.name} with target type ${target.type}: its replicas are multiplied at every sync, as the metric does not fall when pods are added`;
    const fix = 'set target: {type: AverageValue, averageValue: <capacityPerReplica × 0.7>}';
    findings.push(finding('hpa', 'TargetTypeValue', { message, fix, object }));
  }
  const pinned = pinnedForecast(metric.selector);
  if (pinned === undefined) {
    const message = `HPA ${name} reads ${metric.name} with a selector that can match several forecasts, which is refused as soon as it does (without any selector: always)`;
    const fix = `set metric.selector.matchLabels to {${forecastLabel}: <name of the DemandForecast>}`;
    findings.push(finding('hpa', 'AmbiguousSelector', { message, fix, object }));
  } else if (!forecasts.some(({ metadata }) => selects(metric.selector, metadata.name))) {
    const there = forecasts.map(({ metadata }) => metadata.name).slice(0, 5);
    const message = `HPA ${name} reads ${metric.name} of forecast ${JSON.stringify(pinned)}, which its selector does not find in namespace ${namespace} (there: ${there.join(', ') || 'none'})`;
    const fix = `set metric.selector to exactly {matchLabels: {${forecastLabel}: <name of the DemandForecast>}}`;
    findings.push(finding('hpa', 'UnknownForecast', { message, fix, object }));
  }
  return findings;
}

function judgeScaling({ metadata, status }: Hpa): Finding[] {
  const { namespace = '', name } = metadata;
  const active = status?.conditions?.find(({ type }) => type === 'ScalingActive');
  if (active?.status !== 'False') return [];
  const message = `HPA ${name} does not scale: ${active.reason ?? 'Unknown'}: ${active.message ?? ''}`;
  const object = { kind: 'HorizontalPodAutoscaler', namespace, name };
  return [finding('hpa', 'ScalingInactive', { message, fix: `kubectl -n ${namespace} describe hpa ${name}`, object })];
}

/** The HPA controller disables all HPAs whose pods are the same (AmbiguousSelector). */
function severalOnOneTarget(hpas: readonly Hpa[], forecasts: readonly DemandForecast[]): Finding[] {
  return forecasts.flatMap(({ metadata: { namespace, name }, spec: { scaleTargetRef: target } }) => {
    const rivals = hpas.filter(
      ({ metadata, spec: { scaleTargetRef } }) =>
        metadata.namespace === namespace && scaleTargetRef.kind === target.kind && scaleTargetRef.name === target.name,
    );
    if (rivals.length < 2) return [];
    const listed = rivals.map((hpa) => hpa.metadata.name).toSorted();
    const message = `${rivals.length} HPAs scale ${target.kind}/${target.name}, so that none of them does: ${listed.slice(0, 5).join(', ')}`;
    const fix = 'keep one HPA, with all metrics in its spec.metrics';
    return [finding('hpa', 'SeveralHPAs', { message, fix, object: { kind: 'DemandForecast', namespace, name } })];
  });
}

/** Only what the HPAs themselves do not show. */
function judgeForecast(forecast: DemandForecast, hpas: readonly Hpa[]): Finding[] {
  const { namespace, name } = forecast.metadata;
  const object = { kind: 'DemandForecast', namespace, name };
  const inNamespace = hpas.filter(({ metadata }) => metadata.namespace === namespace);
  const { reason, message } = findHpa(forecast, inNamespace);
  switch (reason) {
    case 'HPAFound':
      return [finding('hpa', 'HPAFound', { message, object })];
    case 'NoHPA':
      return forecast.spec.mode === 'Preview'
        ? [finding('hpa', 'NoHPAYet', { message: `mode is Preview, and ${message}`, object })]
        : [finding('hpa', 'NoHPA', { message, fix: 'add the metric to the HPA', object })];
    case 'WrongTarget':
      return [finding('hpa', 'WrongTarget', { message, fix: 'let both name the same workload', object })];
    case 'SeveralHPAs':
    case 'TargetTypeValue':
    case 'AmbiguousSelector':
      return [];
  }
}
