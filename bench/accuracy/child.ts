// SPDX-License-Identifier: Apache-2.0
// A child process of the bench: runs the tasks that it is sent.
import { attempt } from './pool.ts';
import type { Job } from './pool.ts';

process.on('message', (job: Job) => {
  void attempt(job).then((answer) => process.send?.(answer));
});
