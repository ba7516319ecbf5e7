{{- define "nexudus-bff.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* 52 and not 63 characters: "-management" is appended to it. */}}
{{- define "nexudus-bff.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "nexudus-bff.selectorLabels" -}}
app.kubernetes.io/name: {{ include "nexudus-bff.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "nexudus-bff.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "nexudus-bff.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "nexudus-bff.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "nexudus-bff.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "nexudus-bff.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- /* Comma list for AUTH_MODES: what is filled in is switched on, so a mode cannot be on and unconfigured. */}}
{{- define "nexudus-bff.authModes" -}}
{{- $modes := list }}
{{- with .Values.auth.jwt }}
{{- if .issuer }}
{{- $_ := required "auth.jwt.audience: the issuer's tokens are meant for many; say which audience is ours" .audience }}
{{- $modes = append $modes "jwt" }}
{{- else if or .audience .jwksUri }}
{{- fail "auth.jwt.issuer: needed with auth.jwt.audience and auth.jwt.jwksUri" }}
{{- end }}
{{- end }}
{{- if .Values.auth.apiKeys.existingSecret }}
{{- $modes = append $modes "api-key" }}
{{- end }}
{{- if not $modes }}
{{- fail "auth: say who may call, with auth.jwt.issuer or auth.apiKeys.existingSecret (or both)" }}
{{- end }}
{{- join "," $modes }}
{{- end }}

{{- /* Seconds: the service's own time to stop, rounded up, and 10 s for telemetry and the exit; never cut by SIGKILL. */}}
{{- define "nexudus-bff.gracePeriodSeconds" -}}
{{- $stopMs := default 25000 .Values.config.shutdownTimeoutMs | int64 }}
{{- add (div (add $stopMs 999) 1000) 10 }}
{{- end }}

{{- /* `config` as environment: logLevel becomes LOG_LEVEL. The schema bounds the names, so the rule can be mechanical. */}}
{{- define "nexudus-bff.configEnv" -}}
{{- range $name, $value := .Values.config }}
- name: {{ $name | snakecase | upper }}
{{- if kindIs "slice" $value }}
  value: {{ join "," $value | quote }}
{{- else if kindIs "string" $value }}
  value: {{ $value | quote }}
{{- else }}
  {{- /* A number read from YAML is a float to Helm, and 1048576 would be written 1.048576e+06. */}}
  value: {{ $value | int64 | quote }}
{{- end }}
{{- end }}
{{- end }}
