"""Manifests as text, for tests of what reads them from disk."""

from __future__ import annotations

CONNECTOR = """\
apiVersion: connectors.alauda.io/v1alpha1
kind: Connector
metadata:
  name: repo
spec:
  connectorClassName: git
  address: https://tool.example
  auth:
    name: basicAuth
    secretRef: {name: login}
---
"""

SECRET = """\
apiVersion: v1
kind: Secret
metadata: {name: login}
type: kubernetes.io/basic-auth
stringData:
  username: user
  password: canary-4f1d
---
"""

TEAM_CLASS = """\
apiVersion: connectors.alauda.io/v1alpha1
kind: ConnectorClass
metadata: {name: team}
spec:
  params:
    - name: p
      type: float
---
"""
