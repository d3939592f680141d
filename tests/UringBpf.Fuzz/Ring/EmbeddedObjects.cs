using System.Reflection;
using UringBpf.Bytecode;

namespace UringBpf.Fuzz;

/// <summary>The objects that the verbs about rings run.</summary>
internal static class EmbeddedObjects
{
    public static ObjectSpec Load(string name)
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(name)!;
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return ObjectSpec.Load(bytes, name);
    }
}
