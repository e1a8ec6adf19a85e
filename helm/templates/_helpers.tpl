{{- define "rollbackd.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- /* 52 characters: a StatefulSet's pods carry its name and a hash in a label of at most 63. */}}
{{- define "rollbackd.fullname" -}}
{{- $name := include "rollbackd.name" . }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- default $full .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "rollbackd.selector" -}}
app.kubernetes.io/name: {{ include "rollbackd.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "rollbackd.labels" -}}
{{ include "rollbackd.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "rollbackd.serviceAccount" -}}
{{- default (include "rollbackd.fullname" .) .Values.serviceAccount.name }}
{{- end }}

{{- define "rollbackd.policies" -}}
{{- default (printf "%s-policies" (include "rollbackd.fullname" .)) .Values.policiesConfigMap }}
{{- end }}

{{- define "rollbackd.image" -}}
{{- $tag := default .Chart.AppVersion .Values.image.tag }}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}{{ else }}{{ .Values.image.repository }}:{{ $tag }}{{ end }}
{{- end }}

{{- /* The daemon's config: what the values say, and what only the chart can know. */}}
{{- define "rollbackd.config" -}}
{{- if not .Values.config.sources }}
{{- fail "config.sources: name at least one, for example --set config.sources.prometheus.url=http://prometheus.monitoring:9090" }}
{{- end }}
{{- $health := dict "listen" (printf "%s:%v" .Values.health.address .Values.health.port) }}
{{- $fixed := dict "apiVersion" "rollbackd/v1" "kind" "Config" "policies" (list "/policies") "data_dir" "/data" "health" $health }}
{{- merge $fixed .Values.config | toYaml }}
{{- end }}
