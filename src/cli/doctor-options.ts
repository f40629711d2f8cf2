// SPDX-License-Identifier: Apache-2.0
import { parseArgs } from 'node:util';
import { parseDurationSeconds } from '../base/duration.ts';
import { errorMessage, HeadstartError, invalidInput } from '../base/errors.ts';
import { parseServers } from '../config.ts';

export const doctorHelp = `headstart doctor: looks at a cluster and says what keeps Headstart from working, and what to do about it.

Usage: headstart doctor [-n NAMESPACE | -A] [flags]

Changes nothing; to see whether the webhook for clones answers it makes a pod in a dry run, of which nothing is kept. Run
it as a user who may read the cluster; what may not be read, or made, is skipped, and said so.

What to look at:
  -n, --namespace NAME        DemandForecasts, ClonePools and HPAs of one namespace
  -A, --all-namespaces        of all namespaces (default)
  --headstart-namespace NAME  where Headstart is installed (default headstart-system)

How to reach it:
  --kubeconfig FILE           default as kubectl: KUBECONFIG, ~/.kube/config, in a pod its ServiceAccount
  --context NAME              a context of the kubeconfig (default its current-context)
  --prometheus-servers LIST   NAME=URL[,NAME=URL...] as they are reached from here (default: what ConfigMap
                              headstart-forecaster says; a URL inside the cluster may be out of reach from here, then
                              the report says how to forward it)
  --timeout DURATION          for one answer of the apiserver or of Prometheus, from 1s to 5m (default 10s)

Output:
  --output human|json         default human; progress goes to a terminal's standard error, colours to a terminal, unless
                              NO_COLOR is set
  --strict                    warnings count as errors in the exit code

Exit codes: 0 no error was found; 1 an error was found (with --strict also a warning); 2 a wrong argument or kubeconfig;
3 the apiserver does not answer, or does not take the credentials.
`;

/** What `headstart doctor` is asked for. */
export interface DoctorCommand {
  /** undefined: all. */
  readonly namespace: string | undefined;
  readonly headstartNamespace: string;
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
  /** undefined: as Headstart is configured. */
  readonly servers: ReadonlyMap<string, string> | undefined;
  readonly timeoutMs: number;
  readonly output: 'human' | 'json';
  readonly isStrict: boolean;
}

const flags = {
  help: { type: 'boolean', short: 'h' },
  namespace: { type: 'string', short: 'n' },
  'all-namespaces': { type: 'boolean', short: 'A' },
  'headstart-namespace': { type: 'string', default: 'headstart-system' },
  kubeconfig: { type: 'string' },
  context: { type: 'string' },
  'prometheus-servers': { type: 'string' },
  timeout: { type: 'string', default: '10s' },
  output: { type: 'string', default: 'human' },
  strict: { type: 'boolean' },
} as const;

const namePattern = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/**
 * The command, or `help`.
 * @throws HeadstartError InvalidInput that names the flag
 */
export function parseDoctorCommand(argv: readonly string[]): DoctorCommand | 'help' {
  const values = readFlags(argv);
  if (values.help === true) return 'help';
  const { namespace, kubeconfig, context, output } = values;
  const servers = values['prometheus-servers'];
  if (namespace !== undefined && values['all-namespaces'] === true) {
    throw invalidInput('--namespace, --all-namespaces', 'both', 'one of them');
  }
  return {
    namespace: namespace === undefined ? undefined : parseName(namespace, '--namespace'),
    headstartNamespace: parseName(values['headstart-namespace'], '--headstart-namespace'),
    kubeconfig,
    context,
    servers: servers === undefined ? undefined : parseServers(servers, '--prometheus-servers'),
    timeoutMs: parseTimeout(values.timeout),
    output: parseOutput(output),
    isStrict: values.strict === true,
  };
}

function readFlags(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: flags, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new HeadstartError('InvalidInput', errorMessage(error), { cause: error });
  }
}

function parseName(text: string, where: string): string {
  if (!namePattern.test(text)) throw invalidInput(where, text, 'the name of a namespace');
  return text;
}

function parseTimeout(text: string): number {
  const seconds = parseDurationSeconds(text, '--timeout');
  if (!(seconds >= 1 && seconds <= 300)) throw invalidInput('--timeout', text, 'a duration from 1s to 5m');
  return seconds * 1000;
}

function parseOutput(text: string): 'human' | 'json' {
  if (text === 'human' || text === 'json') return text;
  throw invalidInput('--output', text, 'human or json');
}
