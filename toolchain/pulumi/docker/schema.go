package docker

import (
	"encoding/json"
	"iter"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	shim "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim"
	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
)

// Schema describes the provider in Pulumi's own schema language: the bridge
// checks the types of a program's inputs with it, and `pulumi package
// get-schema` shows it. It is made here, not by the bridge's generator, which
// needs another version of a module that the CLI shares.
func Schema(info tfbridge.ProviderInfo) ([]byte, error) {
	s := writer{spec: schema.PackageSpec{
		Name:      Package,
		Version:   Version,
		Meta:      &schema.MetadataSpec{ModuleFormat: "(.*)(?:/[^/]*)"}, // docker:index/container:Container is in docker
		Types:     map[string]schema.ComplexTypeSpec{},
		Resources: map[string]schema.ResourceSpec{},
		Functions: map[string]schema.FunctionSpec{},
	}}
	config := fields{info.P.Schema(), info.Config, "Provider"}
	s.spec.Provider = &schema.ResourceSpec{
		ObjectTypeSpec:  schema.ObjectTypeSpec{Properties: s.properties(config, always)},
		InputProperties: s.properties(config, always),
		RequiredInputs:  required(config),
	}
	for name, resource := range names(info.P.ResourcesMap()) {
		mapped := info.Resources[name]
		all := fields{resource.Schema(), mapped.Fields, string(mapped.Tok.Name())}
		s.spec.Resources[string(mapped.Tok)] = schema.ResourceSpec{
			ObjectTypeSpec:  schema.ObjectTypeSpec{Properties: s.properties(all, always)},
			InputProperties: s.properties(all, isInput),
			RequiredInputs:  required(all),
		}
	}
	for name, source := range names(info.P.DataSourcesMap()) {
		mapped := info.DataSources[name]
		all := fields{source.Schema(), mapped.Fields, string(mapped.Tok.Name())}
		s.spec.Functions[string(mapped.Tok)] = schema.FunctionSpec{
			Inputs:  &schema.ObjectTypeSpec{Type: "object", Properties: s.properties(all, isInput), Required: required(all)},
			Outputs: &schema.ObjectTypeSpec{Type: "object", Properties: s.properties(all, always)},
		}
	}
	return json.Marshal(s.spec)
}

type writer struct{ spec schema.PackageSpec }

// fields of a resource, data source or nested block, with the overrides of
// their names, and the name of the Pulumi type that has them.
type fields struct {
	terraform shim.SchemaMap
	overrides map[string]*tfbridge.SchemaInfo
	owner     string
}

func always(shim.Schema) bool { return true }

// isInput: what is only computed cannot be set.
func isInput(field shim.Schema) bool { return field.Optional() || field.Required() }

func (s writer) properties(all fields, wanted func(shim.Schema) bool) map[string]schema.PropertySpec {
	properties := map[string]schema.PropertySpec{}
	for terraform, field := range schemas(all.terraform) {
		if wanted(field) {
			name := tfbridge.TerraformToPulumiNameV2(terraform, all.terraform, all.overrides)
			properties[name] = schema.PropertySpec{
				Description: field.Description(),
				Secret:      field.Sensitive(),
				TypeSpec:    s.typeOf(field, all.overrides[terraform], all.owner+strings.ToUpper(name[:1])+name[1:]),
			}
		}
	}
	return properties
}

// required names what a program must give: not what has a default.
func required(all fields) []string {
	var found []string
	for terraform, field := range schemas(all.terraform) {
		override := all.overrides[terraform]
		if field.Required() && (override == nil || override.Default == nil) {
			found = append(found, tfbridge.TerraformToPulumiNameV2(terraform, all.terraform, all.overrides))
		}
	}
	slices.Sort(found)
	return found
}

func (s writer) typeOf(field shim.Schema, override *tfbridge.SchemaInfo, name string) schema.TypeSpec {
	switch field.Type() {
	case shim.TypeBool:
		return schema.TypeSpec{Type: "boolean"}
	case shim.TypeInt:
		return schema.TypeSpec{Type: "integer"}
	case shim.TypeFloat:
		return schema.TypeSpec{Type: "number"}
	case shim.TypeList, shim.TypeSet:
		item := s.element(field, override, name)
		if tfbridge.IsMaxItemsOne(field, override) {
			return item
		}
		return schema.TypeSpec{Type: "array", Items: &item}
	case shim.TypeMap:
		value := s.element(field, override, name)
		return schema.TypeSpec{Type: "object", AdditionalProperties: &value}
	default:
		return schema.TypeSpec{Type: "string"}
	}
}

func (s writer) element(field shim.Schema, override *tfbridge.SchemaInfo, name string) schema.TypeSpec {
	var nested map[string]*tfbridge.SchemaInfo
	var of *tfbridge.SchemaInfo
	if override != nil && override.Elem != nil {
		nested, of = override.Elem.Fields, override.Elem
	}
	switch element := field.Elem().(type) {
	case shim.Schema:
		return s.typeOf(element, of, name)
	case shim.Resource:
		all := fields{element.Schema(), nested, name}
		id := Package + ":index/" + strings.ToLower(name[:1]) + name[1:] + ":" + name
		s.spec.Types[id] = schema.ComplexTypeSpec{ObjectTypeSpec: schema.ObjectTypeSpec{
			Type: "object", Properties: s.properties(all, always), Required: required(all),
		}}
		return schema.TypeSpec{Ref: "#/types/" + id}
	default:
		return schema.TypeSpec{Type: "string"}
	}
}

// names ranges over a Terraform provider's resources or data sources.
func names(all shim.ResourceMap) iter.Seq2[string, shim.Resource] {
	return func(yield func(string, shim.Resource) bool) { all.Range(yield) }
}

func schemas(all shim.SchemaMap) iter.Seq2[string, shim.Schema] {
	return func(yield func(string, shim.Schema) bool) { all.Range(yield) }
}
