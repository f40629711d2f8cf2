// SPDX-License-Identifier: Apache-2.0
import { createMetricsRole } from './roles/metrics.ts';
import { createShared } from './roles/shared.ts';
import type { Parts, Role, Shared } from './roles/shared.ts';
import { createOperationsServer } from './server/operations.ts';

/**
 * Constructs every room; nothing runs before `run`, which ends when the signal aborts or a role fails. Rooms that only
 * one role needs are loaded with it: the metrics role is 30 MiB smaller without the forecaster's.
 */
export async function wire(parts: Parts): Promise<{ run(signal: AbortSignal): Promise<void> }> {
  const shared = createShared(parts);
  const { role } = parts.config;
  const isWanted = (name: typeof role): boolean => role === 'all' || role === name;
  const roles: Role[] = [];
  if (isWanted('metrics')) roles.push(createMetricsRole(shared));
  if (isWanted('forecaster')) roles.push((await import('./roles/forecaster.ts')).createForecasterRole(shared));
  if (isWanted('clones')) roles.push((await import('./roles/clones.ts')).createClonesRole(shared));
  return { run: async (signal) => await run(shared, roles, signal) };
}

/** Runs the roles, and what they share a little longer, so that what is answered while draining stays up to date. */
async function run(shared: Shared, roles: readonly Role[], signal: AbortSignal): Promise<void> {
  const { config, following, logger, metrics } = shared;
  const ending = new AbortController();
  const stop = AbortSignal.any([signal, ending.signal]);
  const checks = roles.flatMap((role) => role.checks);
  const operations = createOperationsServer({
    registry: metrics.registry,
    notReady: () => checks.find(({ isReady }) => !isReady())?.name,
  });
  await operations.listen({ host: config.bindAddress, port: config.operationsPort });
  const followed = new AbortController();
  const background = following.map(async (reflector) => await reflector.run(followed.signal));
  logger.info({ role: config.role, identity: config.identity, version: shared.version }, 'started');
  try {
    const results = await Promise.allSettled(roles.map(async (role) => await runRole(role, stop, ending)));
    const failed = results.find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
  } finally {
    followed.abort();
    await Promise.all(background);
    await operations.close();
  }
}

/** One role that cannot go on ends the process, so that Kubernetes starts it anew. */
async function runRole(role: Role, stop: AbortSignal, ending: AbortController): Promise<void> {
  try {
    await role.run(stop);
  } catch (error) {
    if (stop.aborted) return;
    ending.abort();
    throw error;
  }
}
