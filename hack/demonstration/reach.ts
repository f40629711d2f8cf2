// SPDX-License-Identifier: Apache-2.0
import { fileURLToPath } from 'node:url';
import { startBalancer } from '../../src/testing/balancer.ts';
import type { ControlPlane } from '../../src/testing/control-plane.ts';
import { freePort } from '../../src/testing/ports.ts';
import { run } from '../../src/testing/process.ts';
import type { Prometheus } from '../../src/testing/prometheus.ts';
import type { Lifetime } from './lifetime.ts';

/** Installs Prometheus on Debian when it is on no PATH and Docker cannot run it either. @throws Error saying what to do */
export async function ensurePrometheus(log: (line: string) => void): Promise<void> {
  for (const [program, ...args] of [
    ['promtool', '--version'],
    ['docker', 'info'],
  ]) {
    const found = await run(program ?? '', args).catch(() => undefined);
    if (found?.code === 0) return;
  }
  log('installing Prometheus …');
  const script = fileURLToPath(new URL('../servers/install-debian.sh', import.meta.url));
  const { code, stderr } = await run('sh', [script, 'prometheus']);
  if (code !== 0) throw new Error(`Prometheus: ${stderr.trim()}`);
}

/**
 * The URL at which Headstart reaches Prometheus, which listens on loopback: as it is for processes of this machine. For
 * pods of a kind cluster it is passed on at the gateway of Docker's network, for those of another cluster at `host`.
 * @throws Error when the pods' way to this machine is not known
 */
export async function exposePrometheus(options: {
  readonly controlPlane: ControlPlane;
  readonly prometheus: Prometheus;
  readonly lifetime: Lifetime;
  readonly host: string | undefined;
}): Promise<string> {
  const { controlPlane, prometheus, lifetime } = options;
  if (controlPlane.kind === 'built') return prometheus.url;
  // Docker Desktop passes this name on to the loopback of the machine.
  if (controlPlane.kind === 'kind' && process.platform !== 'linux') {
    return `http://host.docker.internal:${prometheus.port}`;
  }
  const host = controlPlane.kind === 'kind' ? await kindGateway() : options.host;
  if (host === undefined) throw new Error('the way from the pods to this machine is not known');
  const port = await freePort();
  await lifetime.step(
    () => startBalancer(port, () => [prometheus.port], host),
    (relay) => relay.close(),
  );
  return `http://${host}:${port}`;
}

async function kindGateway(): Promise<string> {
  const format = '{{range .IPAM.Config}}{{.Gateway}} {{end}}';
  const { stdout } = await run('docker', ['network', 'inspect', 'kind', '--format', format]);
  const address = stdout.split(' ').find((candidate) => /^\d+(\.\d+){3}$/.test(candidate));
  if (address === undefined)
    throw new Error(`docker network inspect kind: got "${stdout.trim()}", want an IPv4 gateway`);
  return address;
}
