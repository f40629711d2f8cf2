// SPDX-License-Identifier: Apache-2.0

/** What `headstart --help` says. */
export const help = `headstart: predictive scaling for Kubernetes.

Usage: headstart COMMAND [flags]

Commands:
  serve       run in a cluster: the external metrics API, the forecaster, or both
  forecast    forecast a series from a CSV file or from Prometheus, without a cluster
  detect      score how unusual each sample of a series is, from a CSV file or from Prometheus
  doctor      look at a cluster, and say what keeps Headstart from working there
  version     print the version

"headstart COMMAND --help" explains a command. Exit codes: 0 done, 1 failed, 2 wrong arguments; doctor has more.
`;
