// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { HeadstartError } from '../../src/base/errors.ts';
import type { KubeClient, KubeRequest } from '../../src/kube/client.ts';
import { observe, whatIsMissing } from './observe.ts';

const apps = '/apis/apps/v1/namespaces/demo/deployments';
const forecastPath = '/apis/headstart.dev/v1alpha1/namespaces/demo/demandforecasts/predictive';
const metricPath = '/apis/external.metrics.k8s.io/v1beta1/namespaces/demo/predicted_demand';
const hpas = '/apis/autoscaling/v2/namespaces/demo/horizontalpodautoscalers';

const deployment = (replicas: number, readyReplicas?: number) => ({ spec: { replicas }, status: { readyReplicas } });
const active = (status: string) => ({ status: { conditions: [{ type: 'ScalingActive', status }] } });
const publishing = (reason: string, message = '') => ({
  forecast: { atLead: '1200500m' },
  lead: { p90: '2m25s' },
  conditions: [{ type: 'Publishing', status: reason === 'Forecast' ? 'True' : 'False', reason, message }],
});

/** A cluster in which all is well. */
const settled: Readonly<Record<string, unknown>> = {
  [`${apps}/reactive`]: deployment(15, 15),
  [`${apps}/predictive`]: deployment(20, 16),
  [forecastPath]: { status: publishing('Forecast') },
  [metricPath]: { items: [{ value: '1500' }] },
  [`${hpas}/reactive`]: active('True'),
  [`${hpas}/predictive`]: active('True'),
};

/** Answers by path; a path without an answer is not found. */
function cluster(answers: Readonly<Record<string, unknown>>): KubeClient {
  return {
    request: <T>({ path }: KubeRequest) => {
      const answer = answers[path];
      const error = new HeadstartError('NotFound', path);
      return answer === undefined ? Promise.reject(error) : Promise.resolve(answer as T);
    },
    watch: () => {
      throw new Error('nothing is watched here');
    },
  };
}

describe('a look at the cluster', () => {
  test('has the pods of both and the forecast', async () => {
    expect(await observe(cluster(settled), 'demo')).toEqual({
      reactive: { desired: 15, ready: 15 },
      predictive: { desired: 20, ready: 16 },
      forecast: { leadSeconds: 145, atLead: 1200.5, published: 1500 },
    });
  });

  test.each([
    ['the metric is not served', { ...settled, [metricPath]: undefined }],
    ['there is no forecast yet', { ...settled, [forecastPath]: {} }],
  ])('has no forecast when %s', async (_, answers) => {
    expect(await observe(cluster(answers), 'demo')).not.toHaveProperty('forecast');
  });

  test('has no ready pods while the status does not name them', async () => {
    const answers = { ...settled, [`${apps}/reactive`]: { spec: { replicas: 2 } } };
    expect((await observe(cluster(answers), 'demo')).reactive).toEqual({ desired: 2, ready: 0 });
  });
});

describe('what the show waits for', () => {
  test('is nothing when all is well', async () => {
    expect(await whatIsMissing(cluster(settled), 'demo', 15)).toBeUndefined();
  });

  test.each([
    ['pods of reactive: 3 of 15 are ready', { [`${apps}/reactive`]: deployment(15, 3) }],
    ['the forecast: none yet', { [forecastPath]: {} }],
    [
      'the forecast: Publishing: observed demand only',
      { [forecastPath]: { status: publishing('ObservedOnly', 'observed demand only') } },
    ],
    ['the HPA predictive: it has no metrics yet', { [`${hpas}/predictive`]: active('False') }],
  ])('is %s', async (words, answers) => {
    expect(await whatIsMissing(cluster({ ...settled, ...answers }), 'demo', 15)).toBe(words);
  });
});
