// SPDX-License-Identifier: Apache-2.0
import { errorMessage } from '../../src/base/errors.ts';
import { ensureGoPrograms } from '../go-programs.ts';

/**
 * The path of the reference of external.metrics.k8s.io: the test adapter of sigs.k8s.io/custom-metrics-apiserver, built
 * where the cache does not have it yet (about four minutes on two cores at first).
 * @throws Error when Go is missing or the build fails, with what the compiler said
 */
export async function ensureReferenceAdapter(log: (line: string) => void): Promise<string> {
  const reference = {
    module: import.meta.dirname,
    what: 'the reference adapter',
    otherwise: '',
    ldflags: () => '-s -w',
    programs: { adapter: { importPath: 'headstart.dev/hack/reference-adapter', file: 'reference-adapter' } },
  };
  return (await ensureGoPrograms(reference, log)).adapter;
}

if (import.meta.main) {
  const log = (line: string): boolean => process.stderr.write(`${line}\n`);
  try {
    process.stdout.write(`${await ensureReferenceAdapter(log)}\n`);
  } catch (error) {
    log(errorMessage(error));
    process.exitCode = 1;
  }
}
