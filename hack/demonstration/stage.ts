// SPDX-License-Identifier: Apache-2.0
import { fileURLToPath } from 'node:url';
import { invalidInput } from '../../src/base/errors.ts';
import { createKubeClient } from '../../src/kube/http-client.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { chooseControlPlane, startControlPlane } from '../../src/testing/control-plane.ts';
import type { ControlPlane, ControlPlaneKind } from '../../src/testing/control-plane.ts';
import { installHeadstart } from '../../src/testing/installation.ts';
import { freePort } from '../../src/testing/ports.ts';
import { startPrometheus } from '../../src/testing/prometheus.ts';
import type { Prometheus } from '../../src/testing/prometheus.ts';
import { createCounter } from './counter.ts';
import { exporterJob, openMetrics, scrapeSeconds, startExporter } from './exporter.ts';
import type { Lifetime } from './lifetime.ts';
import type { Load } from './load.ts';
import { whatIsMissing } from './observe.ts';
import { ensurePrometheus, exposePrometheus } from './reach.ts';
import { asList, settledDeployments } from './workloads.ts';
import type { Workloads } from './workloads.ts';

/** Where the twins live. */
export const namespace = 'headstart-demo';

/** Headstart reads Prometheus this often. */
const syncPeriod = '15s';
const settleTimeoutMs = 300_000;
/**
 * The history goes on a little after now, up to where the first scrapes are sure to come: Prometheus refuses scrapes that
 * are older than what it has, so that no gap is left in between.
 */
const seamSeconds = 40;

/** What is needed to build the stage. */
export interface StageOptions {
  readonly lifetime: Lifetime;
  readonly workloads: Workloads;
  /** Makes the load once it is known when the show will start (epoch seconds), with its history. */
  readonly makeLoad: (startSeconds: number) => { readonly load: Load; readonly historySeconds: number };
  readonly host: string | undefined;
  readonly log: (line: string) => void;
}

/** Everything is up, the twins have settled, and the forecast is published. */
export interface Stage {
  readonly controlPlane: ControlPlane;
  readonly kube: KubeClient;
  readonly prometheus: Prometheus;
  readonly load: Load;
  /** When the show was planned to start, epoch seconds. */
  readonly startSeconds: number;
}

/** Brings everything up. @throws Interrupted, or Error that names the step that failed */
export async function buildStage(options: StageOptions): Promise<Stage> {
  const { lifetime, log } = options;
  const kind = await chooseControlPlane(process.env);
  if ((kind === 'existing') !== (options.host !== undefined)) {
    const allowed =
      'an address with KUBECONFIG, at which the pods of that cluster reach this machine, and none without';
    throw invalidInput('--host', options.host ?? '', allowed);
  }
  await lifetime.step(() => ensurePrometheus(log));
  const controlPlane = await startCluster(kind, options);
  const kube = createKubeClient({ kubeconfig: controlPlane.kubeconfigPath });
  const startSeconds = Math.ceil(Date.now() / 1000 + setupSeconds(kind));
  const { load, historySeconds } = options.makeLoad(startSeconds);
  const deployments = settledDeployments(options.workloads, load.demandAt(startSeconds));
  await lifetime.step(() => controlPlane.kubectlOk(['apply', '-n', namespace, '-f', '-'], asList(deployments)));
  const prometheus = await startLoad(options, load, historySeconds);
  const prometheusUrl = await exposePrometheus({ controlPlane, prometheus, lifetime, host: options.host });
  log('installing Headstart from manifests/base …');
  if (kind === 'existing') await uninstallAtEnd(options, controlPlane);
  const installation = await lifetime.step(
    () => installHeadstart(controlPlane, { prometheusUrl, syncPeriod, log }),
    (installed) => installed.stop(),
  );
  await lifetime.step(() =>
    controlPlane.kubectlOk(['apply', '-n', namespace, '-f', '-'], asList(options.workloads.scaling)),
  );
  const pods = deployments[0]?.spec['replicas'] as number;
  try {
    await settle(options, { kube, startSeconds, pods });
  } catch (error) {
    throw await withLog(error, installation.logs);
  }
  return { controlPlane, kube, prometheus, load, startSeconds };
}

/** From making the load to the start of the show: pods take up to two minutes, images must be built and pulled. */
function setupSeconds(kind: ControlPlaneKind): number {
  return kind === 'built' ? 150 : 400;
}

async function startCluster(kind: ControlPlaneKind, { lifetime, log }: StageOptions): Promise<ControlPlane> {
  const from = { built: 'built from the Go module proxy', kind: 'kind', existing: 'the one of KUBECONFIG' }[kind];
  log(`Kubernetes: ${from}`);
  const controlPlane = await lifetime.step(
    () => startControlPlane({ kind, log }),
    (started) => started.stop(),
  );
  if (kind === 'existing') await refuseOccupied(controlPlane);
  await lifetime.step(
    () => controlPlane.kubectlOk(['create', 'namespace', namespace]),
    async () => {
      // The other clusters end with the demo.
      if (kind === 'existing') await controlPlane.kubectlOk(['delete', 'namespace', namespace, '--timeout=120s']);
    },
  );
  return controlPlane;
}

/** What the demo would make it also deletes at the end: none of it may be there before. */
const own = [
  'apiservice/v1beta1.external.metrics.k8s.io',
  ...['demandforecasts', 'demandhistories', 'clonepools', 'clonetemplates'].map(
    (plural) => `customresourcedefinition/${plural}.headstart.dev`,
  ),
  'namespace/headstart-system',
  `namespace/${namespace}`,
];

async function refuseOccupied(controlPlane: ControlPlane): Promise<void> {
  const found = await controlPlane.kubectlOk(['get', ...own, '--ignore-not-found', '-o', 'name']);
  if (found === '') return;
  const names = found.trim().split('\n').join(', ');
  throw new Error(`KUBECONFIG: ${controlPlane.server} has ${names} already; unset it, or use another cluster`);
}

/** Also when the installation fails half-way: a metrics API that does not answer blocks the deletion of namespaces. */
async function uninstallAtEnd({ lifetime }: StageOptions, controlPlane: ControlPlane): Promise<void> {
  const base = fileURLToPath(new URL('../../manifests/base', import.meta.url));
  await lifetime.step(
    () => Promise.resolve(),
    async () => {
      await controlPlane.kubectlOk(['delete', '-k', base, '--ignore-not-found', '--timeout=120s']);
    },
  );
}

/** The counters and the Prometheus that knows their past. */
async function startLoad(options: StageOptions, load: Load, historySeconds: number): Promise<Prometheus> {
  const { lifetime, log } = options;
  const toSeconds = Math.floor(Date.now() / 1000) + seamSeconds;
  const fromSeconds = toSeconds - historySeconds;
  const counter = createCounter(load, fromSeconds);
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const backfill = openMetrics(counter, { fromSeconds, toSeconds }, address);
  const prometheus = await lifetime.step(
    () =>
      startPrometheus({
        backfill,
        scrapeTargets: [{ job: exporterJob, address, intervalSeconds: scrapeSeconds }],
        log,
      }),
    (started) => started.stop(),
  );
  await lifetime.step(
    () => startExporter(counter, port),
    (exporter) => exporter.close(),
  );
  return prometheus;
}

async function settle(
  { lifetime, log }: StageOptions,
  { kube, startSeconds, pods }: { kube: KubeClient; startSeconds: number; pods: number },
): Promise<void> {
  const deadlineMs = Date.now() + settleTimeoutMs;
  let told = '';
  for (;;) {
    const missing = await lifetime.step(() => whatIsMissing(kube, namespace, pods));
    const seconds = Math.ceil(startSeconds - Date.now() / 1000);
    if (missing === undefined && seconds <= 0) return;
    if (missing !== undefined && Date.now() > deadlineMs) throw new Error(`the show cannot start for ${missing}`);
    // The numbers change all the time, what is waited for does not.
    const [what = ''] = (missing ?? 'the time of the show').split(':');
    if (what !== told) log(`waiting for ${missing ?? `${what}, ${seconds} s`}`);
    told = what;
    await lifetime.sleep(Math.min(2000, missing === undefined ? Math.max(100, seconds * 1000) : 2000));
  }
}

async function withLog(error: unknown, logs: () => Promise<string>): Promise<unknown> {
  if (!(error instanceof Error) || error.name === 'Interrupted') return error;
  const tail = (await logs().catch(() => '')).slice(-3000);
  return new Error(`${error.message}\nHeadstart said:\n${tail}`, { cause: error });
}
