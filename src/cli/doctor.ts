// SPDX-License-Identifier: Apache-2.0
import { systemClock } from '../base/clock.ts';
import { errorCode, errorMessage, HeadstartError } from '../base/errors.ts';
import { parseServers } from '../config.ts';
import { diagnose } from '../doctor/diagnose.ts';
import { gather } from '../doctor/gather.ts';
import type { GatherContext, Gathered } from '../doctor/gather.ts';
import { renderJson, renderText, summarize } from '../doctor/render.ts';
import { createKubeClient } from '../kube/http-client.ts';
import { formatRfc3339 } from '../series/rfc3339.ts';
import { createPrometheusSource } from '../sources/metrics/prometheus.ts';
import { doctorHelp, parseDoctorCommand } from './doctor-options.ts';
import type { DoctorCommand } from './doctor-options.ts';
import { readVersion } from './version.ts';

/** The streams and the environment of a process. */
export interface DoctorIo {
  readonly stdout: { write(text: string): unknown; readonly isTTY?: boolean };
  readonly stderr: { write(text: string): unknown; readonly isTTY?: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Reads the cluster that a command names. */
type Look = (command: DoctorCommand, onProgress: GatherContext['onProgress']) => Promise<Gathered>;

/**
 * `headstart doctor`.
 * @returns the exit code: 0 no error was found, 1 one was (with --strict also a warning), 2 a wrong argument or
 *   kubeconfig, 3 the apiserver does not answer or does not take the credentials
 */
export async function runDoctor(argv: readonly string[], io: DoctorIo, look: Look = lookAtCluster): Promise<number> {
  try {
    const command = parseDoctorCommand(argv);
    if (command === 'help') {
      io.stdout.write(doctorHelp);
      return 0;
    }
    return await examine(command, io, look);
  } catch (error) {
    io.stderr.write(`headstart doctor: ${errorMessage(error)}\n`);
    if (!(error instanceof HeadstartError)) return 1;
    return errorCode(error) === 'InvalidInput' ? 2 : 3;
  }
}

async function examine(command: DoctorCommand, io: DoctorIo, look: Look): Promise<number> {
  const progress = createProgress(io);
  const kubeconfig = command.kubeconfig ?? (io.env['KUBECONFIG'] || undefined);
  const { snapshot, now } = await look({ ...command, kubeconfig }, progress.report).finally(progress.end);
  const findings = diagnose(snapshot, now);
  if (command.output === 'json') {
    io.stdout.write(renderJson({ version: await readVersion(), time: formatRfc3339(now) }, findings));
  } else {
    const noColour = io.env['NO_COLOR'] ?? '';
    io.stdout.write(renderText(findings, { colour: io.stdout.isTTY === true && noColour === '' }));
  }
  const { error, warning } = summarize(findings);
  return error > 0 || (command.isStrict && warning > 0) ? 1 : 0;
}

async function lookAtCluster(command: DoctorCommand, onProgress: GatherContext['onProgress']): Promise<Gathered> {
  const { kubeconfig, context, timeoutMs, namespace, headstartNamespace, servers } = command;
  const userAgent = `headstart-doctor/${await readVersion()}`;
  return await gather({
    client: createKubeClient({ kubeconfig, context, timeoutMs, userAgent }),
    clock: systemClock,
    namespace,
    headstartNamespace,
    servers,
    parseServers,
    onProgress,
    createSource: (url) => createPrometheusSource({ url, clock: systemClock, random: Math.random, timeoutMs }),
  });
}

/** A line that says what is being done, on a terminal only. */
function createProgress({ stderr }: DoctorIo): { report: GatherContext['onProgress']; end: () => void } {
  if (stderr.isTTY !== true) return { report: () => undefined, end: () => undefined };
  return {
    report: (what, done, total) => {
      const count = done === undefined ? '' : ` ${done} of ${total}`;
      stderr.write(`\r\u001B[K${what}${count} …`);
    },
    end: () => {
      stderr.write('\r\u001B[K');
    },
  };
}
