// SPDX-License-Identifier: Apache-2.0
import { fieldManager } from '../api/labels.ts';
import { errorCode } from '../base/errors.ts';
import type { KubeClient, KubeObject } from '../kube/client.ts';
import { resourcePath } from '../kube/paths.ts';
import type { ServiceName } from '../server/api-service.ts';
import { createSharedCertificates } from '../server/certificates.ts';
import type { CertificateSource, SharedCertificatesOptions } from '../server/certificates.ts';

/** The MutatingWebhookConfiguration of the manifests. */
export const webhookConfigurationName = 'headstart-clone-defaults';

/** All that a look at it can find. */
export const webhookStates = ['Kept', 'Missing', 'Foreign', 'NotManaged'] as const;

/**
 * Whether the apiserver can verify our webhook, and what was done about it: its caBundle is ours; there is no such
 * configuration; it calls somebody else; or its caBundle is not ours to keep.
 */
export interface WebhookFinding {
  readonly state: (typeof webhookStates)[number];
  /** A sentence with the names in it, and what to do. */
  readonly message: string;
}

/** A CertificateSource that looks after the webhook's caBundle too. */
export interface WebhookCertificates extends CertificateSource {
  /** What the last look at the configuration found; undefined before there was one. */
  webhook(): WebhookFinding | undefined;
}

/** What the certificates of the webhook are made with. */
export interface WebhookCertificatesOptions extends Omit<SharedCertificatesOptions, 'publishAuthority'> {
  /** {@link webhookConfigurationName} when left out. */
  readonly configuration?: string;
  /** Told at each look. */
  readonly onWebhook?: (finding: WebhookFinding) => void;
}

type WebhookConfiguration = KubeObject & { readonly webhooks?: readonly Webhook[] | null };

interface Webhook {
  readonly name: string;
  readonly clientConfig?: {
    readonly caBundle?: string | null;
    readonly service?: { readonly name?: string; readonly namespace?: string } | null;
  };
}

interface Wanted {
  readonly name: string;
  readonly service: ServiceName;
  readonly caBundlePem: string;
}

/** The annotation prefix by which cert-manager's ca-injector claims the caBundle. */
const injectorPrefix = 'cert-manager.io/inject-ca-from';

/** Certificates for the Service that the webhook is called by; their authorities are kept in its configuration. */
export function createWebhookCertificates(options: WebhookCertificatesOptions): WebhookCertificates {
  const { configuration: name = webhookConfigurationName, onWebhook, ...shared } = options;
  const { client, logger, service } = shared;
  let finding: WebhookFinding | undefined;
  const source = createSharedCertificates({
    ...shared,
    publishAuthority: async (caBundlePem) => {
      const found = await keepWebhookConfiguration(client, { name, service, caBundlePem });
      if (found.message !== finding?.message) {
        logger[found.state === 'Kept' ? 'info' : 'warn']({ reason: found.state }, found.message);
      }
      finding = found;
      onWebhook?.(found);
      return found.state === 'Kept';
    },
  });
  return { ...source, webhook: () => finding };
}

/**
 * Keeps the caBundle of every webhook in the configuration that calls our Service what the apiserver needs in order to
 * verify us. It is never created: without it clones still are bounded, by the policy and the sweeper.
 * @throws HeadstartError of reading and writing; Conflict means that somebody changed it meanwhile
 */
export async function keepWebhookConfiguration(client: KubeClient, wanted: Wanted): Promise<WebhookFinding> {
  const path = resourcePath({
    apiVersion: 'admissionregistration.k8s.io/v1',
    plural: 'mutatingwebhookconfigurations',
    name: wanted.name,
  });
  const configuration = await readIfThere(client, path);
  const what = `MutatingWebhookConfiguration ${wanted.name}`;
  const effect = 'pods that others mark as clones get no defaults';
  if (configuration === undefined) {
    return { state: 'Missing', message: `there is no ${what}: ${effect}; apply the manifests` };
  }
  const ours = (configuration.webhooks ?? []).filter((webhook) => serviceOf(webhook) === nameOf(wanted.service));
  if (ours.length === 0) {
    const calls = (configuration.webhooks ?? []).map(serviceOf).join(', ');
    const message = `${what} calls ${calls === '' ? 'nobody' : calls}, not ${nameOf(wanted.service)}, and is left alone: ${effect}; apply the manifests`;
    return { state: 'Foreign', message };
  }
  const claimed = Object.keys(configuration.metadata.annotations ?? {}).find((key) => key.startsWith(injectorPrefix));
  if (claimed !== undefined) {
    const message = `annotation ${claimed} gives ${what} to cert-manager: its caBundle is left alone`;
    return { state: 'NotManaged', message };
  }
  const caBundle = Buffer.from(wanted.caBundlePem).toString('base64');
  const outdated = ours.filter(({ clientConfig }) => clientConfig?.caBundle !== caBundle).map(({ name }) => name);
  if (outdated.length > 0) await write(client, path, { configuration, names: outdated, caBundle });
  return { state: 'Kept', message: `${what} trusts ${nameOf(wanted.service)}` };
}

async function write(
  client: KubeClient,
  path: string,
  change: {
    readonly configuration: WebhookConfiguration;
    readonly names: readonly string[];
    readonly caBundle: string;
  },
): Promise<void> {
  const { configuration, names, caBundle } = change;
  await client.request({
    method: 'PATCH',
    path,
    query: { fieldManager },
    // By this kind of patch the list is merged by name, so that nothing else of a webhook is sent.
    contentType: 'application/strategic-merge-patch+json',
    body: {
      // With the version that was looked at: it must not have changed meanwhile.
      metadata: { resourceVersion: configuration.metadata.resourceVersion },
      webhooks: names.map((name) => ({ name, clientConfig: { caBundle } })),
    },
  });
}

async function readIfThere(client: KubeClient, path: string): Promise<WebhookConfiguration | undefined> {
  try {
    return await client.request<WebhookConfiguration>({ path });
  } catch (error) {
    if (errorCode(error) === 'NotFound') return undefined;
    throw error;
  }
}

function serviceOf({ clientConfig }: Webhook): string {
  return nameOf(clientConfig?.service ?? {});
}

function nameOf({ namespace = '', name = '' }: Partial<ServiceName>): string {
  return `${namespace}/${name}`;
}
