// SPDX-License-Identifier: Apache-2.0
import { formatDuration } from '../../base/duration.ts';
import { formatRfc3339 } from '../../series/rfc3339.ts';
import { finding, notRead } from '../finding.ts';
import type { Finding } from '../finding.ts';
import type { CertificateFacts, Snapshot, WebhookConfiguration } from '../snapshot.ts';

const name = 'headstart-clone-defaults';
const object = { kind: 'MutatingWebhookConfiguration', name };
const guardName = 'headstart-clone-guard';
const install = 'kubectl apply -k manifests/base';
/** Headstart renews its own certificate 30 days before it ends. */
const endingSeconds = 21 * 86_400;
/** Clones are made without it, and end without it. */
const effect = 'pods that others mark as clones are refused, or get no defaults; ClonePools work on';

/** The webhook for clones: its configuration, its certificate, and whether it answers. */
export function checkCloneWebhook(snapshot: Snapshot, now: number): Finding[] {
  const { webhook } = snapshot;
  if ('failure' in webhook) return [notRead('clone-webhook', webhook.failure, object), ...judgeAnswer(snapshot)];
  if (webhook.value === undefined) {
    const message = `there is no MutatingWebhookConfiguration ${name}: ${effect}`;
    return [finding('clone-webhook', 'Missing', { message, fix: install, object })];
  }
  const problems = judgeConfiguration(snapshot, webhook.value, now);
  return [...problems, ...judgeAnswer(snapshot)];
}

function judgeConfiguration(snapshot: Snapshot, { metadata, webhooks }: WebhookConfiguration, now: number): Finding[] {
  const own = `${snapshot.headstartNamespace}/headstart-clones`;
  const called = (webhooks ?? []).map(({ clientConfig }) => clientConfig);
  const ours = called.filter((config) => `${config?.service?.namespace}/${config?.service?.name}` === own);
  if (ours.length === 0) {
    const services = called.map((config) => `${config?.service?.namespace ?? ''}/${config?.service?.name ?? ''}`);
    const message = `MutatingWebhookConfiguration ${name} calls ${services.join(', ') || 'nobody'}, not ${own}: ${effect}`;
    return [finding('clone-webhook', 'Foreign', { message, fix: install, object })];
  }
  const isInjected = Object.keys(metadata.annotations ?? {}).some((key) =>
    key.startsWith('cert-manager.io/inject-ca-from'),
  );
  if (ours.some((config) => (config?.caBundle ?? '') === '')) {
    const message = `MutatingWebhookConfiguration ${name} has no caBundle: the apiserver cannot verify the webhook; ${effect}`;
    const fix = isInjected
      ? "look at cert-manager's ca-injector, to which an annotation gives the caBundle"
      : 'Headstart fills it in within seconds: look for "keeping certificates" in the log of headstart-clones';
    return [finding('clone-webhook', 'CaBundleMissing', { message, fix, object })];
  }
  return judgeCertificate(snapshot, now);
}

function judgeCertificate({ webhookCertificate: certificate }: Snapshot, now: number): Finding[] {
  if ('failure' in certificate || certificate.value === undefined) {
    const why = 'failure' in certificate ? certificate.failure.message : 'the Secret holds no certificate';
    const message = `whether the caBundle fits the webhook's certificate was not looked at: ${why}`;
    return [finding('clone-webhook', 'CertificateNotChecked', { message, object })];
  }
  return judgeFacts(certificate.value, now);
}

function judgeFacts({ isTrusted, endSeconds }: CertificateFacts, now: number): Finding[] {
  const secret = 'Secret headstart-clones-certificate';
  if (isTrusted === false) {
    const message = `no authority in the caBundle of MutatingWebhookConfiguration ${name} has issued the certificate in ${secret}: ${effect}`;
    const fix =
      'Headstart repairs it within a minute if it may: look for "keeping certificates" in the log of headstart-clones, and for others that write the configuration';
    return [finding('clone-webhook', 'CaBundleMismatch', { message, fix, object })];
  }
  if (endSeconds - now > endingSeconds) return [];
  const left = endSeconds > now ? `ends in ${formatDuration(endSeconds - now)}` : 'has ended';
  const message = `the certificate in ${secret} ${left}, on ${formatRfc3339(endSeconds)}, and has not been renewed`;
  const fix = 'look for "keeping certificates" in the log of headstart-clones';
  return [finding('clone-webhook', 'CertificateEnding', { message, fix, object })];
}

/** What became of a pod without an end that was marked as a clone, in a dry run. */
function judgeAnswer({ stamped }: Snapshot): Finding[] {
  if ('failure' in stamped) {
    const { message: why } = stamped.failure;
    // The policy's words: the webhook has not given it what it lacks.
    if (why.includes('headstart.dev/ttl-seconds')) return [noAnswer('the policy refused it')];
    const message = `whether the webhook answers was not asked: a pod could not be made in a dry run: ${why}`;
    const fix = 'run the doctor as a user who may create pods in a namespace that takes them, named by --namespace';
    return [finding('clone-webhook', 'NotAsked', { message, fix, object })];
  }
  if (stamped.value === undefined) return [noAnswer('nothing refused it either')];
  const message = `the webhook answers: a clone made in a dry run got a time to live of ${stamped.value} s`;
  return [finding('clone-webhook', 'Answers', { message, object })];
}

function noAnswer(and: string): Finding {
  const message = `the apiserver does not reach the webhook: a clone made in a dry run got no time to live, and ${and}; ${effect}`;
  const fix =
    'look at the pods of headstart-clones, and for a firewall or a NetworkPolicy between the apiserver and their port 9443';
  return finding('clone-webhook', 'NoAnswer', { message, fix, object });
}

/** The policy without which a clone may live for ever. */
export function checkCloneGuard({ guard }: Snapshot): Finding[] {
  const about = { kind: 'ValidatingAdmissionPolicy', name: guardName };
  if ('failure' in guard) return [notRead('clone-guard', guard.failure, about)];
  const { isThere, actions } = guard.value;
  const effects = 'pods that others mark as clones may be made without an end, and users may move their deadlines';
  const say = (reason: 'Missing' | 'NotBound' | 'NotDenying', what: string): Finding[] => [
    finding('clone-guard', reason, { message: `${what}: ${effects}`, fix: install, object: about }),
  ];
  if (!isThere) return say('Missing', `there is no ValidatingAdmissionPolicy ${guardName}`);
  if (actions === undefined) return say('NotBound', `nothing binds ValidatingAdmissionPolicy ${guardName}`);
  if (!actions.includes('Deny')) {
    return say(
      'NotDenying',
      `the binding of ValidatingAdmissionPolicy ${guardName} does ${actions.join(', ')}, not Deny`,
    );
  }
  const message = `ValidatingAdmissionPolicy ${guardName} is in force`;
  return [finding('clone-guard', 'InForce', { message, object: about })];
}
