// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { HeadstartError } from '../base/errors.ts';
import type { KubeRequest } from '../kube/client.ts';
import { createFakeClock, settle } from '../testing/fake-clock.ts';
import { createFakeKubeClient } from '../testing/fake-kube-client.ts';
import { createAuthorizer } from './authorization.ts';
import { requestAttributes } from './request-info.ts';
import { StatusError } from './status.ts';
import type { Status } from './status.ts';

const hpa = {
  name: 'system:serviceaccount:kube-system:horizontal-pod-autoscaler',
  groups: ['system:serviceaccounts', 'system:authenticated'],
  extra: { 'authentication.kubernetes.io/credential-id': ['x'] },
};
const metric = requestAttributes('GET', '/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/predicted_demand');

function setUp(answer: (request: KubeRequest) => unknown) {
  const clock = createFakeClock();
  const client = createFakeKubeClient(answer);
  return { clock, client, authorizer: createAuthorizer({ client, clock }) };
}

async function refusal(work: Promise<void>): Promise<Status> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof StatusError)) throw new Error('not refused', { cause: error });
  return error.status;
}

describe('a SubjectAccessReview', () => {
  test('asks with the whole user for the verb list on the metric', async () => {
    const { client, authorizer } = setUp(() => ({ status: { allowed: true } }));
    await authorizer.authorize({ ...hpa, uid: '7' }, metric);
    expect(client.requests).toEqual([
      {
        method: 'POST',
        path: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
        timeoutMs: 5000,
        body: {
          apiVersion: 'authorization.k8s.io/v1',
          kind: 'SubjectAccessReview',
          spec: {
            user: hpa.name,
            uid: '7',
            groups: hpa.groups,
            extra: hpa.extra,
            resourceAttributes: {
              verb: 'list',
              group: 'external.metrics.k8s.io',
              version: 'v1beta1',
              resource: 'predicted_demand',
              namespace: 'shop',
            },
          },
        },
      },
    ]);
  });
  test('asks for the path where there is no resource', async () => {
    const { client, authorizer } = setUp(() => ({ status: { allowed: true } }));
    await authorizer.authorize(hpa, requestAttributes('GET', '/openapi/v2'));
    expect(client.requests[0]?.body).toMatchObject({
      spec: { nonResourceAttributes: { verb: 'get', path: '/openapi/v2' } },
    });
  });
  test('is not needed for system:masters', async () => {
    const { client, authorizer } = setUp(() => ({ status: { allowed: false } }));
    await authorizer.authorize({ ...hpa, groups: ['system:masters'] }, metric);
    expect(client.requests).toHaveLength(0);
  });
});

describe('a refusal', () => {
  test.each([
    [
      'of a metric',
      '/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/predicted_demand',
      `predicted_demand.external.metrics.k8s.io is forbidden: User "${hpa.name}" cannot list resource "predicted_demand" in API group "external.metrics.k8s.io" in the namespace "shop": no RBAC policy matched`,
      { group: 'external.metrics.k8s.io', kind: 'predicted_demand' },
    ],
    [
      'at the cluster scope',
      '/apis/external.metrics.k8s.io/v1beta1/predicted_demand',
      `predicted_demand.external.metrics.k8s.io is forbidden: User "${hpa.name}" cannot list resource "predicted_demand" in API group "external.metrics.k8s.io" at the cluster scope: no RBAC policy matched`,
      { group: 'external.metrics.k8s.io', kind: 'predicted_demand' },
    ],
    [
      'of a path',
      '/openapi/v2',
      `forbidden: User "${hpa.name}" cannot get path "/openapi/v2": no RBAC policy matched`,
      {},
    ],
  ])('%s says who may not do what', async (_what, url, message, details) => {
    const { authorizer } = setUp(() => ({ status: { allowed: false, reason: 'no RBAC policy matched' } }));
    expect(await refusal(authorizer.authorize(hpa, requestAttributes('GET', url)))).toEqual({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      reason: 'Forbidden',
      details,
      code: 403,
    });
  });
  test.each([
    [{}],
    [{ status: {} }],
    [{ status: { allowed: true, denied: true } }],
    [{ status: { allowed: 'yes' } }],
  ])('follows from %j', async (answer) => {
    const { authorizer } = setUp(() => answer);
    expect((await refusal(authorizer.authorize(hpa, metric))).code).toBe(403);
  });
});

describe('when the apiserver does not answer', () => {
  test('the request is refused with 500, after retries that take no more than 5 s', async () => {
    const { authorizer, clock, client } = setUp(async () => {
      await clock.sleep(2000);
      throw new HeadstartError('Unavailable', 'no apiserver');
    });
    const refused = refusal(authorizer.authorize(hpa, metric));
    await clock.advance(7000);
    expect(await refused).toMatchObject({ code: 500, reason: 'InternalError' });
    expect(client.requests.map(({ timeoutMs }) => timeoutMs)).toEqual([5000, 2800, 400]);
  });
  test('a failure that can pass is tried again', async () => {
    let calls = 0;
    const { authorizer, clock, client } = setUp(() => {
      calls += 1;
      if (calls === 1) throw new HeadstartError('Unavailable', 'reset');
      return { status: { allowed: true } };
    });
    const done = authorizer.authorize(hpa, metric);
    await clock.advance(200);
    await done;
    expect(client.requests).toHaveLength(2);
  });
  test('the right to ask may be missing: that is our failure, not the user’s', async () => {
    const { authorizer } = setUp(() => {
      throw new HeadstartError('Forbidden', 'cannot create subjectaccessreviews');
    });
    expect(await refusal(authorizer.authorize(hpa, metric))).toMatchObject({
      code: 500,
      message: 'Internal error occurred: asking who may do this: cannot create subjectaccessreviews',
    });
  });
});

describe('the cache', () => {
  test('an HPA that asks every 15 s never waits, and a withdrawn right ends after one more', async () => {
    let allowed = true;
    const { authorizer, clock, client } = setUp(() => ({ status: { allowed } }));
    await authorizer.authorize(hpa, metric);
    for (let sync = 0; sync < 3; sync += 1) {
      await clock.advance(15_000);
      await authorizer.authorize(hpa, metric);
      await settle();
    }
    expect(client.requests).toHaveLength(4);
    allowed = false;
    await clock.advance(15_000);
    await authorizer.authorize(hpa, metric);
    await settle();
    expect((await refusal(authorizer.authorize(hpa, metric))).code).toBe(403);
  });
  test('a right that is given works after 10 s', async () => {
    let allowed = false;
    const { authorizer, clock } = setUp(() => ({ status: { allowed } }));
    await refusal(authorizer.authorize(hpa, metric));
    allowed = true;
    await refusal(authorizer.authorize(hpa, metric));
    await clock.advance(10_001);
    await expect(authorizer.authorize(hpa, metric)).resolves.toBeUndefined();
  });
  test('users, groups and resources do not share answers', async () => {
    const { authorizer, client } = setUp(() => ({ status: { allowed: true } }));
    const other = requestAttributes('GET', '/apis/external.metrics.k8s.io/v1beta1/namespaces/b/predicted_demand');
    await authorizer.authorize(hpa, metric);
    await authorizer.authorize({ ...hpa, name: 'jane' }, metric);
    await authorizer.authorize({ ...hpa, groups: [] }, metric);
    await authorizer.authorize(hpa, other);
    expect(client.requests).toHaveLength(4);
  });
});
