// SPDX-License-Identifier: Apache-2.0
import type { Reason } from '../api/reasons.ts';
import { forecastLabel } from '../api/labels.ts';
import type { MetricName } from '../api/labels.ts';
import type { DemandForecast } from '../api/v1alpha1/demand-forecast.ts';
import { formatMilli, parseQuantity } from '../base/quantity.ts';

/** metav1.LabelSelector. */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly LabelExpression[];
}

interface LabelExpression {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  readonly values?: readonly string[];
}

/** What is read of an autoscaling/v2 HorizontalPodAutoscaler. */
export interface HorizontalPodAutoscaler {
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec: {
    readonly scaleTargetRef: { readonly apiVersion?: string; readonly kind: string; readonly name: string };
    readonly metrics?: readonly { readonly type: string; readonly external?: ExternalMetric }[];
  };
}

interface ExternalMetric {
  readonly metric: { readonly name: string; readonly selector?: LabelSelector };
  readonly target: { readonly type: string; readonly value?: string; readonly averageValue?: string };
}

/** Whether an HPA reads the metric in a way that works, and with which target. */
export interface HpaVerdict {
  readonly reason: Reason<'HPAReady'>;
  readonly message: string;
  /** The HPA that uses the metric, where it is known which one; its target where there is a usable one. */
  readonly hpa?: {
    readonly name: string;
    readonly targetAverageValue: string;
    /** Target divided by the capacity of a replica. */
    readonly utilization: number;
  };
}

interface Reader {
  readonly hpa: HorizontalPodAutoscaler;
  readonly external: ExternalMetric;
}

const metricName: MetricName = 'predicted_demand';
/** Of a target that is suggested. */
const usualUtilization = 0.7;
const maxNamed = 3;

/**
 * Finds the HPA of the target that reads predicted_demand for this forecast.
 * @param hpas those of the forecast's namespace
 */
export function findHpa(forecast: DemandForecast, hpas: readonly HorizontalPodAutoscaler[]): HpaVerdict {
  const ofTarget = hpas.filter((hpa) => isForTarget(hpa, forecast));
  const readers = hpas.flatMap((hpa) => readerOf(hpa, forecast));
  const own = readers.find(({ hpa }) => ofTarget.includes(hpa));
  if (own !== undefined) return ofTarget.length > 1 ? several(ofTarget) : judge(own, forecast);
  const [foreign] = readers;
  return foreign === undefined ? none(forecast, hpas) : wrongTarget(foreign, forecast);
}

/** A selector that names no forecast counts as reading this one only where the HPA has the same target. */
function readerOf(hpa: HorizontalPodAutoscaler, forecast: DemandForecast): Reader[] {
  const externals = (hpa.spec.metrics ?? []).flatMap(({ type, external }) =>
    type === 'External' && external?.metric.name === metricName ? [external] : [],
  );
  const reads = ({ metric: { selector } }: ExternalMetric): boolean =>
    selects(selector, forecast.metadata.name) && (isPinned(selector) || isForTarget(hpa, forecast));
  const external = externals.find(reads);
  return external === undefined ? [] : [{ hpa, external }];
}

function isForTarget({ spec }: HorizontalPodAutoscaler, forecast: DemandForecast): boolean {
  const { kind, name, apiVersion } = spec.scaleTargetRef;
  const own = forecast.spec.scaleTargetRef;
  const group = apiVersion?.split('/')[0] ?? '';
  return kind === own.kind && name === own.name && (group === '' || group === own.apiVersion.split('/')[0]);
}

function judge({ hpa, external }: Reader, forecast: DemandForecast): HpaVerdict {
  const { name } = hpa.metadata;
  const { metric, target } = external;
  if (!isPinned(metric.selector)) {
    const which = isEmpty(metric.selector)
      ? 'no selector, which is always refused'
      : 'a selector that can match others';
    return {
      reason: 'AmbiguousSelector',
      message: `HPA ${name} reads ${metricName} with ${which}; want matchLabels {${forecastLabel}: ${forecast.metadata.name}}`,
    };
  }
  if (target.type !== 'AverageValue' || target.averageValue === undefined) {
    return {
      reason: 'TargetTypeValue',
      message:
        `HPA ${name} reads ${metricName} with target type ${target.type}, which grows with every pod it adds; ` +
        `want type AverageValue, such as averageValue: "${suggestedTarget(forecast)}"`,
    };
  }
  return found(name, target.averageValue, forecast);
}

function found(name: string, targetAverageValue: string, forecast: DemandForecast): HpaVerdict {
  const capacity = String(forecast.spec.capacityPerReplica);
  const utilization =
    parseQuantity(targetAverageValue, `HPA ${name} averageValue`) / parseQuantity(capacity, 'spec.capacityPerReplica');
  const share = `${targetAverageValue} of ${capacity} per replica (${Math.round(utilization * 100)} %)`;
  const advice = utilization > 1 ? '; above 100 % replicas are overloaded by design' : '';
  return {
    reason: 'HPAFound',
    message: `HPA ${name} aims at ${share}${advice}`,
    hpa: { name, targetAverageValue, utilization },
  };
}

function several(hpas: readonly HorizontalPodAutoscaler[]): HpaVerdict {
  const names = hpas.map(({ metadata }) => metadata.name).toSorted();
  const rest = names.length > maxNamed ? ' …' : '';
  return {
    reason: 'SeveralHPAs',
    message: `${names.length} HPAs scale the target, so that none of them does: ${names.slice(0, maxNamed).join(', ')}${rest}; want one`,
  };
}

function wrongTarget({ hpa }: Reader, { spec }: DemandForecast): HpaVerdict {
  const { kind, name } = hpa.spec.scaleTargetRef;
  const own = spec.scaleTargetRef;
  return {
    reason: 'WrongTarget',
    message: `HPA ${hpa.metadata.name} reads ${metricName} but scales ${kind}/${name}; spec.scaleTargetRef is ${own.kind}/${own.name}`,
  };
}

function none(forecast: DemandForecast, hpas: readonly HorizontalPodAutoscaler[]): HpaVerdict {
  const { kind, name } = forecast.spec.scaleTargetRef;
  const ofTarget = hpas.find((hpa) => isForTarget(hpa, forecast));
  const where =
    ofTarget === undefined ? `the HPA of ${kind}/${name}, which has none,` : `HPA ${ofTarget.metadata.name}`;
  const selector = `selector: {matchLabels: {${forecastLabel}: ${forecast.metadata.name}}}`;
  const target = `target: {type: AverageValue, averageValue: "${suggestedTarget(forecast)}"}`;
  return {
    reason: 'NoHPA',
    message:
      `no HPA reads ${metricName} of ${forecast.metadata.name}; add to spec.metrics of ${where} ` +
      `{type: External, external: {metric: {name: ${metricName}, ${selector}}, ${target}}}`,
  };
}

function suggestedTarget({ spec }: DemandForecast): string {
  const target = parseQuantity(String(spec.capacityPerReplica), 'spec.capacityPerReplica') * usualUtilization;
  return target >= 1 ? String(Number(target.toPrecision(4))) : formatMilli(target);
}

function isEmpty(selector: LabelSelector | undefined): boolean {
  return requirements(selector).length === 0;
}

function isPinned(selector: LabelSelector | undefined): boolean {
  return pinnedForecast(selector) !== undefined;
}

/** The only name that the selector can match; undefined when it can match several, or all. */
export function pinnedForecast(selector: LabelSelector | undefined): string | undefined {
  const pin = requirements(selector).find(
    ({ key, operator, values }) => key === forecastLabel && operator === 'In' && values?.length === 1,
  );
  return pin?.values?.[0];
}

/** Does the selector match a forecast of this name, whose only label is the name? */
export function selects(selector: LabelSelector | undefined, name: string): boolean {
  return requirements(selector).every(({ key, operator, values = [] }) => {
    const isKey = key === forecastLabel;
    switch (operator) {
      case 'In':
        return isKey && values.includes(name);
      case 'NotIn':
        return !isKey || !values.includes(name);
      case 'Exists':
        return isKey;
      case 'DoesNotExist':
        return !isKey;
    }
  });
}

function requirements(selector: LabelSelector | undefined): LabelExpression[] {
  const labels = Object.entries(selector?.matchLabels ?? {});
  return [
    ...labels.map(([key, value]) => ({ key, operator: 'In' as const, values: [value] })),
    ...(selector?.matchExpressions ?? []),
  ];
}
