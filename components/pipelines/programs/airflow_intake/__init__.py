"""The pipelines service's API in front of Apache Airflow: bundles become DAGs, runs are DAG runs, steps are tasks."""
