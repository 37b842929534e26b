#!/bin/sh
# Makes requirements.txt: the served model's libraries, all of them pinned with hashes, at versions that install
# together with the platform's model server. Run it after changing pyproject.toml or requirements.in.
set -eu
cd "$(dirname "$0")"
together=$(mktemp)
trained=$(mktemp)
trap 'rm -f "$together" "$trained"' EXIT
uv export --quiet --project .. --frozen --no-emit-project --no-hashes --no-header --output-file "$trained" > /dev/null
grep -E '^(joblib|numpy|pandas|scikit-learn|scipy|skops|threadpoolctl|narwhals)==' "$trained" > "$together.pins"
printf 'mlserver==1.7.1\nmlserver-mlflow==1.7.1\n' | uv pip compile --quiet --universal --python-version 3.11 \
    --constraint "$together.pins" requirements.in - --output-file "$together" > /dev/null
uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
    --custom-compile-command serving/lock.sh --constraint "$together" requirements.in --output-file requirements.txt
rm -f "$together.pins"
