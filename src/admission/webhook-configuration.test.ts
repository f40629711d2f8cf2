// SPDX-License-Identifier: Apache-2.0
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { HeadstartError } from '../base/errors.ts';
import type { KubeRequest } from '../kube/client.ts';
import { createFakeClock, settle } from '../testing/fake-clock.ts';
import { createFakeKubeClient } from '../testing/fake-kube-client.ts';
import {
  createWebhookCertificates,
  keepWebhookConfiguration,
  webhookConfigurationName,
} from './webhook-configuration.ts';

const service = { namespace: 'headstart-system', name: 'headstart-clones' };
const path = `/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/${webhookConfigurationName}`;
const secretPath = '/api/v1/namespaces/headstart-system/secrets/headstart-clones-certificate';
const wanted = { name: webhookConfigurationName, service, caBundlePem: 'pem' };

type Webhook = { name: string; clientConfig: { caBundle?: string; service?: object; url?: string } };

function configuration(webhooks: readonly Webhook[] | null, metadata: object = {}) {
  return { metadata: { name: webhookConfigurationName, resourceVersion: '7', ...metadata }, webhooks };
}

function ours(caBundle?: string): Webhook {
  const clientConfig = { service: { ...service, path: '/mutate-v1-pod', port: 443 } };
  return { name: 'defaults', clientConfig: caBundle === undefined ? clientConfig : { ...clientConfig, caBundle } };
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const foreign: Webhook = { name: 'other', clientConfig: { service: { namespace: 'other', name: 'other' } } };

describe('keepWebhookConfiguration', () => {
  test.each([
    ['is missing', undefined],
    ['is another’s', base64('other')],
  ])('writes a caBundle that %s, by name and with the version that was looked at', async (_state, caBundle) => {
    const client = createFakeKubeClient(() => configuration([foreign, ours(caBundle)]));
    expect(await keepWebhookConfiguration(client, wanted)).toEqual({
      state: 'Kept',
      message: 'MutatingWebhookConfiguration headstart-clone-defaults trusts headstart-system/headstart-clones',
    });
    expect(client.requests.slice(1)).toEqual([
      {
        method: 'PATCH',
        path,
        query: { fieldManager: 'headstart' },
        contentType: 'application/strategic-merge-patch+json',
        body: {
          metadata: { resourceVersion: '7' },
          webhooks: [{ name: 'defaults', clientConfig: { caBundle: base64('pem') } }],
        },
      },
    ]);
  });
  test('writes nothing where it is right', async () => {
    const client = createFakeKubeClient(() => configuration([ours(base64('pem'))]));
    expect((await keepWebhookConfiguration(client, wanted)).state).toBe('Kept');
    expect(client.requests).toHaveLength(1);
  });
  const alone: Record<string, [object, string, string]> = {
    'calls another Service': [
      configuration([foreign]),
      'Foreign',
      'calls other/other, not headstart-system/headstart-clones',
    ],
    'calls a URL': [
      configuration([{ name: 'url', clientConfig: { url: 'https://x' } }]),
      'Foreign',
      'calls /, not headstart-system/headstart-clones',
    ],
    'calls nobody': [configuration(null), 'Foreign', 'calls nobody, not headstart-system/headstart-clones'],
    'is cert-manager’s': [
      configuration([ours()], { annotations: { 'cert-manager.io/inject-ca-from': 'a/b' } }),
      'NotManaged',
      'annotation cert-manager.io/inject-ca-from gives',
    ],
  };
  test.each(Object.entries(alone))('leaves one alone that %s', async (_what, [object, state, message]) => {
    const client = createFakeKubeClient(() => object);
    const finding = await keepWebhookConfiguration(client, wanted);
    expect(finding.state).toBe(state);
    expect(finding.message).toContain(message);
    expect(client.requests).toHaveLength(1);
  });
  test('does not create one', async () => {
    const client = createFakeKubeClient(() => {
      throw new HeadstartError('NotFound', path);
    });
    expect(await keepWebhookConfiguration(client, wanted)).toEqual({
      state: 'Missing',
      message:
        'there is no MutatingWebhookConfiguration headstart-clone-defaults: pods that others mark as clones get no defaults; apply the manifests',
    });
    expect(client.requests).toHaveLength(1);
  });
  test('fails where it may not look', async () => {
    const client = createFakeKubeClient(() => {
      throw new HeadstartError('Forbidden', path);
    });
    await expect(keepWebhookConfiguration(client, wanted)).rejects.toThrow(path);
  });
});

describe('createWebhookCertificates', () => {
  /** An apiserver with the Secret, and the configuration once it is put there. */
  function setUp() {
    const state: { secret: object; webhook: ReturnType<typeof configuration> | undefined } = {
      secret: { metadata: { name: 'headstart-clones-certificate', resourceVersion: '1' } },
      webhook: undefined,
    };
    const answer = ({ method = 'GET', path: asked, body }: KubeRequest): unknown => {
      if (asked === secretPath) return method === 'PUT' ? (state.secret = body as object) : state.secret;
      if (state.webhook === undefined) throw new HeadstartError('NotFound', asked);
      if (method === 'PATCH') {
        const [{ clientConfig }] = (body as { webhooks: [Webhook] }).webhooks;
        state.webhook = configuration([ours(clientConfig.caBundle)]);
      }
      return state.webhook;
    };
    const clock = createFakeClock();
    const log: { msg: string; level: number }[] = [];
    const states: string[] = [];
    const certificates = createWebhookCertificates({
      client: createFakeKubeClient(answer),
      clock,
      random: () => 0.5,
      logger: pino({}, { write: (line: string) => void log.push(JSON.parse(line) as (typeof log)[number]) }),
      secret: { namespace: 'headstart-system', name: 'headstart-clones-certificate' },
      service,
      onWebhook: (finding) => void states.push(finding.state),
    });
    const advance = async (ms: number): Promise<void> => {
      await clock.advance(ms);
      while (clock.sleepers() < 1) await settle();
    };
    return { state, certificates, advance, states, log };
  }

  test('serves without a configuration, and publishes its authority within seconds of there being one', async () => {
    const { state, certificates, advance, states, log } = setUp();
    const stop = new AbortController();
    await certificates.start(stop.signal);
    expect(certificates.webhook()?.state).toBe('Missing');
    expect(certificates.current().certPem).toContain('BEGIN CERTIFICATE');
    state.webhook = configuration([ours()]);
    await advance(5000);
    expect(state.webhook.webhooks?.[0]?.clientConfig.caBundle).toBe(base64(certificates.current().caBundlePem));
    expect(states).toEqual(['Missing', 'Kept']);
    expect(log.filter(({ msg }) => msg.includes('MutatingWebhookConfiguration')).map(({ level }) => level)).toEqual([
      40, 30,
    ]);
    stop.abort(new Error('stopped'));
  });
  test('puts it back within a minute of somebody writing another', async () => {
    const { state, certificates, advance } = setUp();
    state.webhook = configuration([ours()]);
    const stop = new AbortController();
    await certificates.start(stop.signal);
    state.webhook = configuration([ours(base64('other'))]);
    await advance(60_000);
    expect(state.webhook.webhooks?.[0]?.clientConfig.caBundle).toBe(base64(certificates.current().caBundlePem));
    stop.abort(new Error('stopped'));
  });
});
