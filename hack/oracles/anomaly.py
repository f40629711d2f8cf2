# SPDX-License-Identifier: Apache-2.0
"""Scores of scikit-learn's IsolationForest and OneClassSVM on made-up rows, for src/forecast/anomaly/*.test.ts.

    pip install scikit-learn && python hack/oracles/anomaly.py > src/forecast/anomaly/anomaly.oracle.json
"""
import json
import platform

import numpy
import sklearn
from sklearn.ensemble import IsolationForest
from sklearn.svm import OneClassSVM

random = numpy.random.default_rng(1)
rows = numpy.round(random.normal(size=(60, 2)) * [1, 2], 4).astype(numpy.float32).astype(float)
points = numpy.array([[0, 0], [1, -1], [2.5, 2], [4, 4], [-3, 8], [0.1, -5]], dtype=float)

forest = IsolationForest(n_estimators=5, max_samples=32, random_state=1).fit(rows)
trees = [
    {
        "feature": numpy.maximum(estimator.tree_.feature, 0).tolist(),
        "threshold": estimator.tree_.threshold.tolist(),
        "left": estimator.tree_.children_left.tolist(),
        "right": estimator.tree_.children_right.tolist(),
        "size": estimator.tree_.n_node_samples.tolist(),
    }
    for estimator in forest.estimators_
]

machines = []
for nu, gamma in [(0.05, "scale"), (0.2, 0.5), (0.5, 0.1)]:
    machine = OneClassSVM(nu=nu, gamma=gamma, tol=1e-8).fit(rows)
    machines.append(
        {
            "nu": nu,
            "gamma": float(machine._gamma),
            "decisions": machine.decision_function(points).tolist(),
        }
    )

print(
    json.dumps(
        {
            "versions": {
                "python": platform.python_version(),
                "numpy": numpy.__version__,
                "scikit-learn": sklearn.__version__,
            },
            "rows": rows.tolist(),
            "points": points.tolist(),
            # score_samples is the negated anomaly score of the paper.
            "forest": {"sampleSize": 32, "trees": trees, "scores": (-forest.score_samples(points)).tolist()},
            "machines": machines,
        }
    )
)
