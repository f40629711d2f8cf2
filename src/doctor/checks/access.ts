// SPDX-License-Identifier: Apache-2.0
import { finding, notRead } from '../finding.ts';
import type { Finding } from '../finding.ts';
import { describeRight, hpaController } from '../rights.ts';
import type { Subject } from '../rights.ts';
import type { RightAnswer, Snapshot } from '../snapshot.ts';

/** What Headstart and the HPA controller may do: one finding for each of them. */
export function checkAccess({ rights }: Snapshot): Finding[] {
  if ('failure' in rights) return [notRead('access', rights.failure)];
  const subjects = new Map<string, { readonly subject: Subject; readonly answers: RightAnswer[] }>();
  for (const answer of rights.value) {
    const { subject } = answer.right;
    const key = `${subject.namespace}/${subject.serviceAccount}`;
    const entry = subjects.get(key) ?? { subject, answers: [] };
    entry.answers.push(answer);
    subjects.set(key, entry);
  }
  return [...subjects.values()].map(({ subject, answers }) => judge(subject, answers));
}

function judge(subject: Subject, answers: readonly RightAnswer[]): Finding {
  const { namespace, serviceAccount: name } = subject;
  const object = { kind: 'ServiceAccount', namespace, name };
  const denied = answers.filter(({ isAllowed }) => !isAllowed).map(({ right }) => describeRight(right));
  if (denied.length === 0) {
    return finding('access', 'Granted', { message: `${name} has its ${answers.length} rights`, object });
  }
  return finding('access', 'Denied', {
    message: `${name} may not: ${denied.join('; ')}`,
    fix: isHpaController(subject)
      ? 'the HPA controller needs the ClusterRole system:controller:horizontal-pod-autoscaler and its binding, which the apiserver makes at its start; without --use-service-account-credentials it is system:kube-controller-manager that needs it'
      : `kubectl apply -k manifests/base, which holds ${name}'s roles and bindings`,
    object,
  });
}

function isHpaController({ namespace, serviceAccount }: Subject): boolean {
  return namespace === hpaController.namespace && serviceAccount === hpaController.serviceAccount;
}
