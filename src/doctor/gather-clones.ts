// SPDX-License-Identifier: Apache-2.0
import { cloneAnnotations, cloneLabels } from '../api/clone-labels.ts';
import type { KubeClient } from '../kube/client.ts';
import { resourcePath } from '../kube/paths.ts';
import type { ResourceRef } from '../kube/paths.ts';
import { certificateFacts } from './certificate-facts.ts';
import type { CertificateSecret } from './certificate-facts.ts';
import type { Reading } from './finding.ts';
import { getOptional, reading } from './reading.ts';
import type { CloneGuard, Lease, Snapshot, WebhookConfiguration } from './snapshot.ts';

const admission = 'admissionregistration.k8s.io/v1';
const guardName = 'headstart-clone-guard';

interface Binding {
  readonly spec?: { readonly validationActions?: readonly string[] };
}

/** Whom to ask, and where. */
export interface CloneContext {
  readonly client: KubeClient;
  readonly headstartNamespace: string;
  /** Where a pod is made in a dry run; undefined for `default`. */
  readonly namespace: string | undefined;
}

/** What there is for clones besides the Deployment and the ClonePools. */
export async function gatherClones(
  context: CloneContext,
): Promise<Pick<Snapshot, 'clonesLease' | 'webhook' | 'webhookCertificate' | 'stamped' | 'guard'>> {
  const { client, headstartNamespace: namespace } = context;
  const object = async <T>(ref: ResourceRef): Promise<Reading<T | undefined>> =>
    await reading(async () => await getOptional<T>(client, ref));
  const [clonesLease, webhook, secret, stamped, guard] = await Promise.all([
    object<Lease>({ apiVersion: 'coordination.k8s.io/v1', plural: 'leases', namespace, name: 'headstart-clones' }),
    object<WebhookConfiguration>({
      apiVersion: admission,
      plural: 'mutatingwebhookconfigurations',
      name: 'headstart-clone-defaults',
    }),
    object<CertificateSecret>({ apiVersion: 'v1', plural: 'secrets', namespace, name: 'headstart-clones-certificate' }),
    reading(async () => await makeInDryRun(context)),
    reading(async () => await readGuard(client)),
  ]);
  const [first] = 'failure' in webhook ? [] : (webhook.value?.webhooks ?? []);
  const caBundle = first?.clientConfig?.caBundle ?? '';
  const webhookCertificate = 'failure' in secret ? secret : { value: certificateFacts(secret.value, caBundle) };
  return { clonesLease, webhook, webhookCertificate, stamped, guard };
}

/** The time to live that the webhook gives a pod. Nothing is kept of a dry run, and nobody schedules its pod. */
async function makeInDryRun({ client, namespace = 'default' }: CloneContext): Promise<string | undefined> {
  const pod = await client.request<{
    readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> };
  }>({
    method: 'POST',
    path: resourcePath({ apiVersion: 'v1', plural: 'pods', namespace }),
    query: { dryRun: 'All' },
    body: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { generateName: 'headstart-doctor-', namespace, labels: { [cloneLabels.clone]: 'true' } },
      spec: harmless,
    },
  });
  return pod.metadata?.annotations?.[cloneAnnotations.ttlSeconds];
}

/** As the pod security standard `restricted` wants it, with what quotas ask for. */
const harmless = {
  securityContext: { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: 'RuntimeDefault' } },
  containers: [
    {
      name: 'pause',
      image: 'registry.k8s.io/pause:3.10',
      resources: { requests: { cpu: '1m', memory: '1Mi' }, limits: { cpu: '1m', memory: '1Mi' } },
      securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
    },
  ],
};

async function readGuard(client: KubeClient): Promise<CloneGuard> {
  const [policy, binding] = await Promise.all([
    getOptional<object>(client, { apiVersion: admission, plural: 'validatingadmissionpolicies', name: guardName }),
    getOptional<Binding>(client, {
      apiVersion: admission,
      plural: 'validatingadmissionpolicybindings',
      name: guardName,
    }),
  ]);
  const actions = binding === undefined ? undefined : (binding.spec?.validationActions ?? []);
  return { isThere: policy !== undefined, actions };
}
