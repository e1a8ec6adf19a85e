{{- define "rollbackd.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- /* 52 characters: a StatefulSet's pods carry its name and a hash in a label of at most 63. */}}
{{- define "rollbackd.fullname" -}}
{{- $name := include "rollbackd.name" . }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- $name = default $full .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- if not (regexMatch "^[a-z]" $name) }}
{{- fail (printf "the objects would be called %s, but a Service's name begins with a letter: set fullnameOverride" $name) }}
{{- end }}
{{- $name }}
{{- end }}

{{- define "rollbackd.selector" -}}
app.kubernetes.io/name: {{ include "rollbackd.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
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

{{- /* What several pods need; says nothing where they have it. */}}
{{- define "rollbackd.replicas" -}}
{{- if not .Values.store.url }}
{{- if gt (int .Values.replicas) 1 }}
{{- fail "replicas: more than one needs a journal that they share: set store.url to a PostgreSQL, or leave replicas at 1" }}
{{- end }}
{{- if .Values.sharded }}
{{- fail "sharded: needs a journal that the parts share: set store.url to a PostgreSQL" }}
{{- end }}
{{- if .Values.store.passwordSecret }}
{{- fail "store.passwordSecret: there is no store.url that it is for" }}
{{- end }}
{{- end }}
{{- if and (gt (int .Values.replicas) 1) .Values.persistence.existingClaim }}
{{- fail "persistence.existingClaim: each replica needs a volume of its own: remove it, and the chart makes them" }}
{{- end }}
{{- end }}

{{- /* The daemon's config: what the values say, and what only the chart can know. */}}
{{- define "rollbackd.config" -}}
{{- if not .Values.config.sources }}
{{- fail "config.sources: name at least one, for example --set config.sources.prometheus.url=http://prometheus.monitoring:9090" }}
{{- end }}
{{- $health := dict "listen" (printf "%s:%v" .Values.health.address .Values.health.port) }}
{{- $fixed := dict "apiVersion" "rollbackd/v1" "kind" "Config" "policies" (list "/policies") "data_dir" "/data" "health" $health }}
{{- include "rollbackd.replicas" . }}
{{- $store := dict }}
{{- with .Values.store.url }}
{{- if regexMatch "[?&](ssl)?password=" . }}
{{- fail "store.url: a password in it would be written into a ConfigMap: remove it, and name a Secret in store.passwordSecret" }}
{{- end }}
{{- $parts := dict "url" . }}
{{- if $.Values.store.passwordSecret }}{{ $_ := set $parts "password_file" "/store/password" }}{{ end }}
{{- $store = dict "store" $parts }}
{{- end }}
{{- merge $fixed $store .Values.config | toYaml }}
{{- end }}
