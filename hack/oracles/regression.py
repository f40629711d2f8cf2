# SPDX-License-Identifier: Apache-2.0
"""Values that the regression models are checked against, from scikit-learn and SciPy.

    python3 -m venv .cache/oracles && .cache/oracles/bin/pip install scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6
    .cache/oracles/bin/python hack/oracles/regression.py > src/forecast/golden/regression.json

The output is committed; it says with which versions it was made.
"""

import json
import sys

import numpy
import scipy
import sklearn
from scipy.optimize import lsq_linear, minimize, nnls
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeRegressor

random = numpy.random.default_rng(7)


def rounded(array):
    """Short enough to commit; what is given in is rounded before it is used."""
    return numpy.round(numpy.asarray(array, dtype=float), 6)


def ridge():
    x = rounded(random.normal(size=(40, 5)) * [1, 5, 0.2, 1, 3] + [0, 10, 0, -2, 1])
    y = rounded(x @ [1, -0.5, 3, 0, 0.2] + 4 + random.normal(size=40))
    weights = rounded(random.uniform(0.2, 2, size=40))
    model = Ridge(alpha=2.5, solver="cholesky").fit(x, y, sample_weight=weights)
    # With a penalty of 0.05 times the number of rows on coefficients of standardised features.
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    standard = Ridge(alpha=0.05 * len(y), solver="cholesky").fit(scaled, y)
    return {
        "x": x.tolist(),
        "y": y.tolist(),
        "weights": weights.tolist(),
        "alpha": 2.5,
        "coefficients": [model.intercept_, *model.coef_.tolist()],
        "standardisedPenalty": 0.05,
        "standardisedPredictions": standard.predict(scaled).tolist(),
    }


def non_negative():
    cases = []
    for size in (3, 6, 10):
        a = rounded(random.normal(size=(30, size)))
        b = rounded(a @ random.normal(size=size) + 0.1 * random.normal(size=30))
        low = numpy.where(numpy.arange(size) % 2 == 0, 0, -numpy.inf)
        mixed = lsq_linear(a, b, bounds=(low, numpy.inf), method="bvls", tol=1e-14)
        cases.append({"a": a.tolist(), "b": b.tolist(), "all": nnls(a, b)[0].tolist(), "everySecond": mixed.x.tolist()})
    return cases


def trees():
    x = random.integers(0, 40, size=(200, 4)).astype(float)
    y = rounded(numpy.where(x[:, 1] > 20, 5, 0) + 0.1 * x[:, 0] * (x[:, 2] > 10) + random.normal(size=200))
    weights = rounded(random.uniform(0.5, 1.5, size=200))
    # Rows that were learnt from: between them thresholds may lie anywhere.
    probes = x[:60]
    tree = DecisionTreeRegressor(max_depth=4, min_samples_leaf=7, random_state=0).fit(x, y, sample_weight=weights)

    def stages(**shape):
        """As long as ties between splits, which scikit-learn breaks by chance, make no difference."""
        runs = [
            numpy.array(list(GradientBoostingRegressor(
                loss="quantile", min_samples_leaf=10, init="zero", random_state=seed, **shape,
            ).fit(x, y).staged_predict(probes)))
            for seed in range(8)
        ]
        same = [all(numpy.allclose(run[stage], runs[0][stage], atol=1e-12) for run in runs) for stage in range(len(runs[0]))]
        return runs[0][: same.index(False) if False in same else len(same)]

    median = stages(alpha=0.5, n_estimators=20, learning_rate=0.1, max_depth=3)
    upper = stages(alpha=0.9, n_estimators=10, learning_rate=0.2, max_depth=2)
    return {
        "x": x.tolist(),
        "y": y.tolist(),
        "weights": weights.tolist(),
        "tree": tree.predict(probes).tolist(),
        "median": median.tolist(),
        "upper": upper.tolist(),
    }


def posterior():
    """Prophet's density (its Stan program: trend, Laplace changes, normal seasonalities, half-normal noise)."""
    n, changes = 240, 12
    t = numpy.arange(n) / n
    knots = 0.8 * (numpy.arange(changes) + 1) / changes
    trend = numpy.column_stack([t, numpy.ones(n), numpy.maximum(0, t[:, None] - knots)])
    angle = 2 * numpy.pi * numpy.arange(n) / 24
    waves = numpy.column_stack([f(k * angle) for k in (1, 2, 3) for f in (numpy.sin, numpy.cos)])
    x = rounded(numpy.column_stack([trend, waves]))
    y = 0.4 + 0.5 * t - 0.9 * numpy.maximum(0, t - 0.5) + 0.2 * numpy.sin(angle) + 0.05 * random.normal(size=n)
    y = rounded(y)
    kinds = ["normal"] * 2 + ["laplace"] * changes + ["normal"] * waves.shape[1]
    scales = [5.0] * 2 + [0.05] * changes + [10.0] * waves.shape[1]
    laplace = numpy.array([kind == "laplace" for kind in kinds])
    scale = numpy.array(scales)
    width = x.shape[1]

    def split(z):
        b = z[:width].copy()
        b[laplace] -= z[width:-1]
        return b, numpy.exp(z[-1])

    def loss(z):
        b, sigma = split(z)
        rest = y - x @ b
        value = n * numpy.log(sigma) + rest @ rest / (2 * sigma**2) + sigma**2 / (2 * 0.5**2)
        value += numpy.sum((b[~laplace] / scale[~laplace]) ** 2) / 2
        value += numpy.sum((z[:width][laplace] + z[width:-1]) / scale[laplace])
        gradient = -(x.T @ rest) / sigma**2
        gradient[~laplace] += b[~laplace] / scale[~laplace] ** 2
        negative = -gradient[laplace] + 1 / scale[laplace]
        gradient[laplace] += 1 / scale[laplace]
        noise = n - rest @ rest / sigma**2 + sigma**2 / 0.5**2
        return value, numpy.concatenate([gradient, negative, [noise]])

    z = numpy.zeros(width + changes + 1)
    z[-1] = -1
    bounds = [(0, None) if own else (None, None) for own in laplace] + [(0, None)] * changes + [(-8, 3)]
    best = None
    for _ in range(5):
        best = minimize(loss, z, jac=True, bounds=bounds, method="L-BFGS-B",
                        options={"maxiter": 20000, "maxfun": 40000, "ftol": 1e-15, "gtol": 1e-9, "maxcor": 40})
        z = best.x
    b, sigma = split(z)
    return {
        "x": x.tolist(), "y": y.tolist(), "kinds": kinds, "scales": scales,
        "density": -best.fun, "coefficients": b.tolist(), "sigma": float(sigma), "fitted": (x @ b).tolist(),
    }


versions = {"python": sys.version.split()[0], "numpy": numpy.__version__, "scipy": scipy.__version__,
            "scikit-learn": sklearn.__version__}
json.dump({"versions": versions, "ridge": ridge(), "nonNegative": non_negative(), "trees": trees(),
           "posterior": posterior()}, sys.stdout, indent=None, separators=(",", ":"))
print()
