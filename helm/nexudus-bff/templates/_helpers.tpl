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

{{- /* Seconds: the sleep, the service's own time to stop, rounded up, and 10 s for the exit; never cut by SIGKILL. */}}
{{- define "nexudus-bff.gracePeriodSeconds" -}}
{{- $stopMs := dig "shutdownTimeoutMs" 25000 .Values.config | int64 }}
{{- add .Values.preStopSleepSeconds (div (add $stopMs 999) 1000) 10 }}
{{- end }}

{{- /* How many there may be at once, a roll's overlap apart. */}}
{{- define "nexudus-bff.maxReplicas" -}}
{{- $replicas := ternary .Values.autoscaling.maxReplicas .Values.replicaCount .Values.autoscaling.enabled | int }}
{{- if and (gt $replicas 1) (not .Values.database.existingSecret) (not .Values.acceptSeparateMemory) }}
{{- fail "acceptSeparateMemory: must be true for more than one replica without database.existingSecret; read what that costs in the chart's README, under More than one replica" }}
{{- end }}
{{- $replicas }}
{{- end }}

{{- /* Into how many parts the quota is divided: replicas that share a database share the quota, too. */}}
{{- define "nexudus-bff.shares" -}}
{{- ternary 1 (include "nexudus-bff.maxReplicas" . | int) (not (empty .Values.database.existingSecret)) }}
{{- end }}

{{- /*
One replica's share of quota windows ("60/1m,2500/1d"), rounded down. A window of one call cannot be divided: its period
is stretched instead, which keeps the mean, though two replicas may then call in the same moment.
*/}}
{{- define "nexudus-bff.shareOfLimits" -}}
{{- $by := .by }}
{{- $variable := .variable }}
{{- if or (eq $by 1) (eq .limits "off") }}
{{- .limits }}
{{- else }}
{{- $shares := list }}
{{- range splitList "," .limits }}
{{- $limit := splitList "/" . | first | int }}
{{- $period := splitList "/" . | last }}
{{- if eq $limit 1 }}
{{- $amount := regexFind "^[0-9]+" $period | int }}
{{- $shares = append $shares (printf "1/%d%s" (mul $amount $by) (regexFind "[a-z]+$" $period)) }}
{{- else if lt $limit $by }}
{{- fail (printf "config.%s: %s cannot be divided among %d replicas: nothing would be left for one" $variable . $by) }}
{{- else }}
{{- $shares = append $shares (printf "%d/%s" (div $limit $by) $period) }}
{{- end }}
{{- end }}
{{- join "," $shares }}
{{- end }}
{{- end }}

{{- /* The windows of one replica. The service's own defaults are stated here because they, too, must be divided. */}}
{{- define "nexudus-bff.writeLimits" -}}
{{- include "nexudus-bff.shareOfLimits" (dict "by" (include "nexudus-bff.shares" . | int) "variable" "nexudusWriteLimits" "limits" (default "60/1m,2500/1d" .Values.config.nexudusWriteLimits)) }}
{{- end }}
{{- define "nexudus-bff.callLimits" -}}
{{- include "nexudus-bff.shareOfLimits" (dict "by" (include "nexudus-bff.shares" . | int) "variable" "nexudusCallLimits" "limits" (default "1/100ms,120/1m,5000/1h" .Values.config.nexudusCallLimits)) }}
{{- end }}

{{- /* `config` as variables: logLevel becomes LOG_LEVEL. The schema bounds the names, so the rule can be mechanical. */}}
{{- define "nexudus-bff.configVariables" -}}
{{- $config := .Values.config }}
{{- if gt (include "nexudus-bff.shares" . | int) 1 }}
{{- $config = merge (dict "nexudusWriteLimits" (include "nexudus-bff.writeLimits" .) "nexudusCallLimits" (include "nexudus-bff.callLimits" .)) $config }}
{{- end }}
{{- range $name, $value := $config }}
{{ $name | snakecase | upper }}: {{ if kindIs "slice" $value -}}
{{- join "," $value | quote }}
{{- else if or (kindIs "string" $value) (kindIs "bool" $value) -}}
{{- $value | quote }}
{{- else -}}
{{- /* A number read from YAML is a float to Helm, and 1048576 would be written 1.048576e+06. */}}
{{- $value | int64 | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Everything that the service reads from its environment. The ports and paths are stated: the pod must agree. */}}
{{- define "nexudus-bff.variables" -}}
PORT: "3000"
MANAGEMENT_PORT: "9464"
NEXUDUS_CREDENTIALS_DIR: /etc/nexudus-bff/credentials
AUTH_MODES: {{ include "nexudus-bff.authModes" . | quote }}
{{- with .Values.auth.jwt }}
{{- if .issuer }}
AUTH_JWT_ISSUER: {{ .issuer | quote }}
AUTH_JWT_AUDIENCE: {{ .audience | quote }}
{{- with .jwksUri }}
AUTH_JWKS_URI: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.auth.apiKeys.existingSecret }}
AUTH_API_KEYS_FILE: {{ printf "/etc/nexudus-bff/api-keys/%s" .Values.auth.apiKeys.key | quote }}
{{- end }}
{{- with .Values.database }}
{{- if .existingSecret }}
DATABASE_URL_FILE: {{ printf "/etc/nexudus-bff/database/%s" .urlKey | quote }}
LEDGER_KEYS_FILE: {{ printf "/etc/nexudus-bff/database/%s" .ledgerKeysKey | quote }}
DATABASE_BACKEND: {{ .backend }}
{{- end }}
{{- end }}
{{- include "nexudus-bff.configVariables" . }}
{{- end }}

{{- /* What finds this release's metrics: the labels that the ServiceMonitor gives them. */}}
{{- define "nexudus-bff.metricsSelector" -}}
namespace="{{ .Release.Namespace }}",job="{{ include "nexudus-bff.fullname" . }}-management"
{{- end }}

{{- /* Labels of the pod of `helm test`: not the service's own, or the Service would take it for one of the service. */}}
{{- define "nexudus-bff.testLabels" -}}
app.kubernetes.io/name: {{ include "nexudus-bff.name" . }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* Labels of the pod that migrates, for the same reason. */}}
{{- define "nexudus-bff.migrateLabels" -}}
app.kubernetes.io/name: {{ include "nexudus-bff.name" . }}-migrate
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /*
An ExternalSecret of this chart is not there yet before an install, and a hook that waited for its Secret would wait in
vain: the pods make the tables then.
*/}}
{{- define "nexudus-bff.migrateHook" -}}
{{- ternary "pre-upgrade" "pre-install,pre-upgrade" .Values.externalSecrets.enabled }}
{{- end }}

{{- /* The way to the database: where it is, and who is asked for its name. */}}
{{- define "nexudus-bff.databaseEgress" -}}
- to:
    {{- toYaml .Values.networkPolicy.databaseTo | nindent 4 }}
  ports:
    - { protocol: TCP, port: {{ .Values.database.port }} }
{{- end }}
{{- define "nexudus-bff.dnsEgress" -}}
- ports:
    - { protocol: UDP, port: 53 }
    - { protocol: TCP, port: 53 }
{{- end }}

{{- define "nexudus-bff.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
# Secret volumes belong to root: this group is how the process reads them at mode 0440.
fsGroup: 1000
seccompProfile:
  type: RuntimeDefault
{{- end }}
{{- define "nexudus-bff.containerSecurityContext" -}}
allowPrivilegeEscalation: false
privileged: false
# The service writes no file, so there is no emptyDir either.
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}
