{{/* Names, labels, images: small things that every template uses. */}}

{{- define "sidestream.base" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* A service's name in the cluster. Takes (dict "root" $ "name" "orders"). */}}
{{- define "sidestream.fullname" -}}
{{- printf "%s-%s" (include "sidestream.base" .root) .name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "sidestream.selector" -}}
app.kubernetes.io/name: sidestream
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with get . "name" }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- define "sidestream.labels" -}}
{{ include "sidestream.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: sidestream
helm.sh/chart: {{ printf "sidestream-%s" .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* metadata of an object. Takes root, name (the component), as (the object's name), annotations. */}}
{{- define "sidestream.metadata" -}}
name: {{ .as }}
namespace: {{ get . "namespace" | default .root.Release.Namespace }}
labels:
  {{- include "sidestream.labels" . | nindent 2 }}
{{- with get . "labels" }}
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with merge (dict) (get . "annotations" | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* An image's reference. Takes root and image. */}}
{{- define "sidestream.image" -}}
{{- $registry := get .image "registry" | default .root.Values.global.imageRegistry -}}
{{- $name := .image.repository -}}
{{- with $registry }}{{ $name = printf "%s/%s" . $name }}{{ end -}}
{{- if get .image "digest" -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (get .image "tag" | default .root.Chart.AppVersion | toString) -}}
{{- end -}}
{{- end -}}

{{- define "sidestream.command" -}}
image: {{ include "sidestream.image" (dict "root" . "image" .Values.image) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end -}}

{{- define "sidestream.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "sidestream.base" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{/* What every pod of the release has. */}}
{{- define "sidestream.podBase" -}}
serviceAccountName: {{ include "sidestream.serviceAccount" . }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.global.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* A value as it stands in SQL or a properties file: numbers without an exponent. */}}
{{- define "sidestream.text" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) -}}
{{- printf "%.0f" . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}
