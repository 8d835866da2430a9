{{- define "bridge.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{- define "bridge.fullname" -}}
{{- $name := include "bridge.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 53 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "bridge.selector" -}}
app.kubernetes.io/name: {{ include "bridge.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "bridge.labels" -}}
{{ include "bridge.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- /* The memory limit and the memory request of the pod, in MiB; the README explains the numbers. */ -}}
{{- define "bridge.memoryLimit" -}}
{{- $limits := .Values.settings.limits | default dict -}}
{{- $answers := $limits.memory_bytes_max | default 67108864 | int64 -}}
{{- $events := $limits.event_buffer_bytes_max | default 67108864 | int64 -}}
{{- add 96 (mul (len .Values.accounts) (add 80 (div (add $answers $events) 1048576))) -}}
{{- end -}}

{{- define "bridge.memoryRequest" -}}
{{- add 96 (mul (len .Values.accounts) 64) -}}
{{- end -}}

{{- define "bridge.resources" -}}
{{- $limits := dict "memory" (printf "%sMi" (include "bridge.memoryLimit" .)) -}}
{{- $requests := dict "memory" (printf "%sMi" (include "bridge.memoryRequest" .)) -}}
{{- toYaml (mergeOverwrite (dict "limits" $limits "requests" $requests) (deepCopy (.Values.resources | default dict))) -}}
{{- end -}}

{{- /* The daemon's configuration file. JSON strings, numbers and booleans are also valid TOML. */ -}}
{{- define "bridge.config" -}}
environment = {{ .Values.settings.environment | toJson }}
{{- range $name, $account := .Values.accounts }}

[accounts.{{ $name }}]
api_key_file = "/run/secrets/ltp/{{ $name }}/api-key"
api_secret_file = "/run/secrets/ltp/{{ $name }}/api-secret"
{{- with $account.executionsSince }}
executions_since = {{ . | toJson }}
{{- end }}
{{- end }}
{{- range .Values.settings.endpoints }}

[[endpoints]]
{{- range $setting, $value := . }}
{{ $setting }} = {{ $value | toJson }}
{{- end }}
{{- end }}
{{- range $section, $settings := omit .Values.settings "environment" "endpoints" }}

[{{ $section }}]
{{- range $setting, $value := $settings }}
{{ $setting }} = {{ $value | toJson }}
{{- end }}
{{- end }}

[management]
host = "0.0.0.0"
port = 9090
{{- end -}}
